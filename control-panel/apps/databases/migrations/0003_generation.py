from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('databases', '0002_old_url'),
    ]

    operations = [
        migrations.AddField(
            model_name='database',
            name='generation',
            field=models.PositiveIntegerField(default=0),
        ),
    ]
