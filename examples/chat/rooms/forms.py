from typing import Any

from django import forms
from django.contrib.auth import get_user_model

from .models import PrivateRoom
from .rules import clean_name


class PrivateRoomForm(forms.ModelForm):
    class Meta:
        model = PrivateRoom
        fields = ["name"]
        labels = {"name": "New private room"}
        help_texts = {"name": "Only those whom you invite see it and can enter."}
        widgets = {"name": forms.TextInput(attrs={"autocomplete": "off", "placeholder": "Holiday plans"})}

    def clean_name(self) -> str:
        return clean_name(self.cleaned_data["name"], limit=50, default="Private room")


class InviteForm(forms.Form):
    invite = forms.CharField(
        label="Invite by user name",
        max_length=150,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )

    def clean_invite(self) -> Any:
        """The user of that name."""
        name = self.cleaned_data["invite"]
        user = get_user_model().objects.filter(username__iexact=name, is_active=True).first()
        if user is None:
            raise forms.ValidationError("Nobody here has that user name.")
        return user
