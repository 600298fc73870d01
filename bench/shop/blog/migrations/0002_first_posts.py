"""Something to show on the first page."""

from django.db import migrations


def write(apps, schema_editor):
    author = apps.get_model("blog", "Author").objects.create(name="Ada")
    post = apps.get_model("blog", "Post")
    post.objects.bulk_create(post(author=author, title=f"Post {n}", body=f"Words of post {n}. " * 20) for n in range(20))


class Migration(migrations.Migration):
    dependencies = [("blog", "0001_initial")]
    operations = [migrations.RunPython(write, migrations.RunPython.noop)]
