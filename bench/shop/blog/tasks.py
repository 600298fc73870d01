"""Work for later."""

from celery import shared_task
from PIL import Image


@shared_task
def shrink(path):
    with Image.open(path) as picture:
        picture.thumbnail((400, 400))
        picture.save(path)
