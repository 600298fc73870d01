"""The first tables."""

import django.db.models.deletion
from django.db import migrations, models


def key():
    return ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"))


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Author",
            fields=[
                key(),
                ("name", models.CharField(max_length=100)),
                ("portrait", models.ImageField(blank=True, upload_to="portraits")),
            ],
        ),
        migrations.CreateModel(name="Tag", fields=[key(), ("name", models.SlugField(unique=True))]),
        migrations.CreateModel(
            name="Post",
            fields=[
                key(),
                ("title", models.CharField(max_length=200)),
                ("body", models.TextField()),
                ("published_at", models.DateTimeField(auto_now_add=True)),
                (
                    "author",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="posts", to="blog.author"
                    ),
                ),
                ("tags", models.ManyToManyField(blank=True, to="blog.tag")),
            ],
        ),
    ]
