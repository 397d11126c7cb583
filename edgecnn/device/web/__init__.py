"""The view `web`: a page with the live picture, for any number of viewers.

::

    the loop's thread       `Feed.show`: notes the answer, and goes on
    a thread "pictures"     encodes the newest frame once, and only while somebody watches
    a thread "web"          the server's event loop: hands the same bytes to each viewer

Between two of them there is the newest thing and nothing else: a viewer who is slow skips what it was too slow for.
Nothing here is imported before the view is asked for.
"""
