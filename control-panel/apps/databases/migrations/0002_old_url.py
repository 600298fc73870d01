import apps.core.crypto
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('databases', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='database',
            name='old_url',
            field=apps.core.crypto.EncryptedTextField(blank=True, default=''),
        ),
    ]
