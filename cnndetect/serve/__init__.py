"""``cnndetect serve``: a page where one drops a picture, and the same answers as JSON for programs (extra ``web``)."""
