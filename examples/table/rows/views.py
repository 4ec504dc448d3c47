from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from .models import Row


def table(request: HttpRequest) -> HttpResponse:
    return render(request, "rows/table.html", {"rows": Row.objects.all()})
