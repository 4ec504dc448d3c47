from django.conf.urls import url

from bench_site.views import hello

urlpatterns = [url(r"^hello$", hello)]
