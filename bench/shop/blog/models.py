"""Authors, posts and tags."""

from django.db import models


class Author(models.Model):
    name = models.CharField(max_length=100)
    portrait = models.ImageField(upload_to="portraits", blank=True)

    def __str__(self):
        return self.name


class Tag(models.Model):
    name = models.SlugField(unique=True)

    def __str__(self):
        return self.name


class Post(models.Model):
    author = models.ForeignKey(Author, on_delete=models.CASCADE, related_name="posts")
    tags = models.ManyToManyField(Tag, blank=True)
    title = models.CharField(max_length=200)
    body = models.TextField()
    published_at = models.DateTimeField(auto_now_add=True)

    def __str__(self):
        return self.title
