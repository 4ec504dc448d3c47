from django.contrib.auth import login
from django.contrib.auth.views import LogoutView, RedirectURLMixin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse_lazy
from django.views.generic import CreateView
from rooms.consumers import put_out
from rooms.models import Presence

from .forms import SignUpForm


class SignUp(RedirectURLMixin, CreateView):
    """Makes an account, logs in, and goes back to the page that the visitor came from."""

    form_class = SignUpForm
    template_name = "accounts/signup.html"
    next_page = reverse_lazy("lobby")

    def form_valid(self, form: SignUpForm) -> HttpResponse:
        response = super().form_valid(form)
        login(self.request, self.object)
        return response

    def get_context_data(self, **context: object) -> dict[str, object]:
        return super().get_context_data(next=self.get_redirect_url(), **context)


class LogOut(LogoutView):
    """Ends the session, and then the user's sockets. A browser that is still logged in reconnects by itself."""

    def post(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        user = request.user.pk
        response = super().post(request, *args, **kwargs)
        if user is not None:
            put_out(Presence.objects.filter(user=user))
        return response
