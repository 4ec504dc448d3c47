from django.http import HttpResponse

BODY = b"Hello".ljust(100, b".")


def hello(request):
    # Without middleware, nothing else sets the length, and chunked answers would cost each stack differently.
    response = HttpResponse(BODY, content_type="text/plain")
    response["Content-Length"] = str(len(BODY))
    return response
