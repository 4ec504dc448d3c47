from django.urls import path

from bench_site.views import hello

urlpatterns = [path("hello", hello)]
