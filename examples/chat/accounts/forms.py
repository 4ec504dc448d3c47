from django.contrib.auth.forms import UserCreationForm, UsernameField
from django.contrib.auth.validators import UnicodeUsernameValidator
from rooms.rules import MAX_NAME_LENGTH


class SignUpForm(UserCreationForm):
    """Django's form, for names that fit into the list of people."""

    username = UsernameField(
        label="User name",
        max_length=MAX_NAME_LENGTH,
        validators=[UnicodeUsernameValidator()],
        help_text=f"Up to {MAX_NAME_LENGTH} letters, digits and @ . + - _",
    )
