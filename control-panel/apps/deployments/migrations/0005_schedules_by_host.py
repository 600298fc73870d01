from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('deployments', '0004_certificates_by_name'),
    ]

    operations = [
        migrations.AddField(
            model_name='schedule',
            name='by_host',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='schedulerun',
            name='invocation',
            field=models.CharField(max_length=32, null=True, unique=True),
        ),
    ]
