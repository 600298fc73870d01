"""Which package of the index an imported module comes from. Only well-known names: guessing one from a module's name
would install whatever somebody chose to publish under it."""

from __future__ import annotations

from packaging.utils import canonicalize_name

# module (or INSTALLED_APPS entry): distribution
KNOWN: dict[str, str] = {
    "PIL": "Pillow", "yaml": "PyYAML", "cv2": "opencv-python-headless", "bs4": "beautifulsoup4", "jwt": "PyJWT",
    "dateutil": "python-dateutil", "dotenv": "python-dotenv", "decouple": "python-decouple",
    "environ": "django-environ", "sklearn": "scikit-learn", "skimage": "scikit-image", "Crypto": "pycryptodome",
    "Cryptodome": "pycryptodomex", "OpenSSL": "pyOpenSSL", "docx": "python-docx", "pptx": "python-pptx",
    "fitz": "PyMuPDF", "magic": "python-magic", "slugify": "python-slugify", "telegram": "python-telegram-bot",
    "telebot": "pyTelegramBotAPI", "serial": "pyserial", "MySQLdb": "mysqlclient", "psycopg2": "psycopg2-binary",
    "psycopg": "psycopg[binary]", "memcache": "python-memcached", "pylibmc": "pylibmc", "ldap": "python-ldap",
    "googleapiclient": "google-api-python-client", "attr": "attrs", "google.oauth2": "google-auth",
    "google_auth_oauthlib": "google-auth-oauthlib", "firebase_admin": "firebase-admin",
    "rest_framework": "djangorestframework", "rest_framework_simplejwt": "djangorestframework-simplejwt",
    "rest_framework_jwt": "djangorestframework-jwt", "rest_framework_nested": "drf-nested-routers",
    "rest_framework_swagger": "django-rest-swagger", "rest_auth": "django-rest-auth", "dj_rest_auth": "dj-rest-auth",
    "rest_framework_extensions": "drf-extensions", "rest_framework_api_key": "djangorestframework-api-key",
    "drf_yasg": "drf-yasg", "drf_spectacular": "drf-spectacular", "drf_writable_nested": "drf-writable-nested",
    "djoser": "djoser", "knox": "django-rest-knox", "coreapi": "coreapi", "ninja": "django-ninja",
    "graphene": "graphene", "graphene_django": "graphene-django", "graphql_jwt": "django-graphql-jwt",
    "strawberry": "strawberry-graphql", "corsheaders": "django-cors-headers", "crispy_forms": "django-crispy-forms",
    "crispy_bootstrap4": "crispy-bootstrap4", "crispy_bootstrap5": "crispy-bootstrap5",
    "crispy_tailwind": "crispy-tailwind", "bootstrap3": "django-bootstrap3", "bootstrap4": "django-bootstrap4",
    "django_bootstrap5": "django-bootstrap5", "bootstrap5": "django-bootstrap-v5",
    "bootstrapform": "django-bootstrap-form", "widget_tweaks": "django-widget-tweaks",
    "floppyforms": "django-floppyforms", "bootstrap_datepicker_plus": "django-bootstrap-datepicker-plus",
    "tempus_dominus": "django-tempus-dominus", "ckeditor": "django-ckeditor", "ckeditor_uploader": "django-ckeditor",
    "django_ckeditor_5": "django-ckeditor-5", "tinymce": "django-tinymce", "django_summernote": "django-summernote",
    "froala_editor": "django-froala-editor", "markdownx": "django-markdownx", "markdown_deux": "django-markdown-deux",
    "martor": "martor", "mdeditor": "django-mdeditor", "markdown": "Markdown", "mistune": "mistune",
    "markdownify": "django-markdownify", "pagedown": "django-pagedown", "bleach": "bleach", "html2text": "html2text",
    "lxml": "lxml", "docutils": "docutils", "pygments": "Pygments", "allauth": "django-allauth",
    "social_django": "social-auth-app-django", "social_core": "social-auth-core",
    "oauth2_provider": "django-oauth-toolkit", "guardian": "django-guardian",
    "rolepermissions": "django-role-permissions", "axes": "django-axes", "two_factor": "django-two-factor-auth",
    "django_otp": "django-otp", "hijack": "django-hijack", "captcha": "django-simple-captcha",
    "django_recaptcha": "django-recaptcha", "honeypot": "django-honeypot",
    "registration": "django-registration-redux", "django_registration": "django-registration",
    "userena": "django-userena", "taggit": "django-taggit", "mptt": "django-mptt", "treebeard": "django-treebeard",
    "reversion": "django-reversion", "simple_history": "django-simple-history", "polymorphic": "django-polymorphic",
    "model_utils": "django-model-utils", "django_extensions": "django-extensions",
    "debug_toolbar": "django-debug-toolbar", "silk": "django-silk", "django_filters": "django-filter",
    "django_tables2": "django-tables2", "import_export": "django-import-export",
    "django_browser_reload": "django-browser-reload", "livereload": "django-livereload-server",
    "tailwind": "django-tailwind", "compressor": "django-compressor", "pipeline": "django-pipeline",
    "sass_processor": "django-sass-processor", "django_vite": "django-vite",
    "webpack_loader": "django-webpack-loader", "storages": "django-storages", "cloudinary": "cloudinary",
    "cloudinary_storage": "django-cloudinary-storage", "boto3": "boto3", "botocore": "botocore",
    "imagekit": "django-imagekit", "sorl": "sorl-thumbnail", "easy_thumbnails": "easy-thumbnails",
    "stdimage": "django-stdimage", "versatileimagefield": "django-versatileimagefield", "filer": "django-filer",
    "ordered_model": "django-ordered-model", "adminsortable2": "django-admin-sortable2",
    "adminsortable": "django-admin-sortable", "nested_admin": "django-nested-admin",
    "nested_inline": "django-nested-inline", "jazzmin": "django-jazzmin", "admin_interface": "django-admin-interface",
    "colorfield": "django-colorfield", "grappelli": "django-grappelli", "jet": "django-jet", "suit": "django-suit",
    "unfold": "django-unfold", "baton": "django-baton", "simpleui": "django-simpleui",
    "admin_honeypot": "django-admin-honeypot", "rangefilter": "django-admin-rangefilter",
    "constance": "django-constance", "solo": "django-solo", "waffle": "django-waffle", "sekizai": "django-sekizai",
    "cms": "django-cms", "djangocms_text_ckeditor": "djangocms-text-ckeditor",
    "phonenumber_field": "django-phonenumber-field", "phonenumbers": "phonenumbers",
    "django_countries": "django-countries", "djmoney": "django-money", "location_field": "django-location-field",
    "timezone_field": "django-timezone-field", "picklefield": "django-picklefield", "jsonfield": "jsonfield",
    "autoslug": "django-autoslug", "django_autoslug": "django-autoslug", "django_extensions.db": "django-extensions",
    "multiselectfield": "django-multiselectfield", "star_ratings": "django-star-ratings",
    "el_pagination": "django-el-pagination", "pure_pagination": "django-pure-pagination",
    "hitcount": "django-hitcount", "notifications": "django-notifications-hq",
    "django_comments": "django-contrib-comments", "django_comments_xtd": "django-comments-xtd",
    "embed_video": "django-embed-video", "dbbackup": "django-dbbackup", "cacheops": "django-cacheops",
    "django_redis": "django-redis", "redis": "redis", "celery": "celery", "django_celery_beat": "django-celery-beat",
    "django_celery_results": "django-celery-results", "kombu": "kombu", "flower": "flower", "django_q": "django-q2",
    "django_rq": "django-rq", "huey": "huey", "rq": "rq", "background_task": "django-background-tasks",
    "django_crontab": "django-crontab", "apscheduler": "APScheduler", "django_apscheduler": "django-apscheduler",
    "channels": "channels", "channels_redis": "channels-redis", "daphne": "daphne", "whitenoise": "whitenoise",
    "dj_database_url": "dj-database-url", "django_heroku": "django-heroku", "gunicorn": "gunicorn",
    "configurations": "django-configurations", "split_settings": "django-split-settings", "environs": "environs",
    "decouple_config": "python-decouple", "pymysql": "PyMySQL", "mysql": "mysql-connector-python", "djongo": "djongo",
    "pymongo": "pymongo", "mongoengine": "mongoengine", "haystack": "django-haystack", "whoosh": "Whoosh",
    "elasticsearch": "elasticsearch", "django_elasticsearch_dsl": "django-elasticsearch-dsl",
    "elasticsearch_dsl": "elasticsearch-dsl", "watson": "django-watson", "anymail": "django-anymail",
    "post_office": "django-post-office", "mailchimp_marketing": "mailchimp-marketing", "sendgrid": "sendgrid",
    "twilio": "twilio", "stripe": "stripe", "braintree": "braintree", "paypal": "django-paypal",
    "paypalrestsdk": "paypalrestsdk", "paypalcheckoutsdk": "paypal-checkout-serversdk", "razorpay": "razorpay",
    "djstripe": "dj-stripe", "openai": "openai", "anthropic": "anthropic", "requests": "requests", "httpx": "httpx",
    "aiohttp": "aiohttp", "urllib3": "urllib3", "certifi": "certifi", "simplejson": "simplejson",
    "feedparser": "feedparser", "xmltodict": "xmltodict", "pytz": "pytz", "tzlocal": "tzlocal", "arrow": "arrow",
    "pendulum": "pendulum", "humanize": "humanize", "babel": "Babel", "six": "six", "attrs": "attrs",
    "pydantic": "pydantic", "marshmallow": "marshmallow", "numpy": "numpy", "pandas": "pandas",
    "matplotlib": "matplotlib", "seaborn": "seaborn", "plotly": "plotly", "scipy": "scipy", "joblib": "joblib",
    "nltk": "nltk", "textblob": "textblob", "openpyxl": "openpyxl", "xlrd": "xlrd", "xlwt": "xlwt",
    "xlsxwriter": "XlsxWriter", "tablib": "tablib", "reportlab": "reportlab", "xhtml2pdf": "xhtml2pdf",
    "weasyprint": "weasyprint", "django_weasyprint": "django-weasyprint", "PyPDF2": "PyPDF2", "pypdf": "pypdf",
    "qrcode": "qrcode", "barcode": "python-barcode", "faker": "Faker", "factory": "factory-boy", "geopy": "geopy",
    "folium": "folium", "geoip2": "geoip2", "rest_framework_gis": "djangorestframework-gis",
    "leaflet": "django-leaflet", "django_user_agents": "django-user-agents", "user_agents": "user-agents",
    "shortuuid": "shortuuid", "nanoid": "nanoid", "unidecode": "Unidecode", "validators": "validators",
    "emoji": "emoji", "psutil": "psutil", "paramiko": "paramiko", "sentry_sdk": "sentry-sdk", "raven": "raven",
    "rollbar": "rollbar", "structlog": "structlog", "prometheus_client": "prometheus-client",
    "django_prometheus": "django-prometheus", "health_check": "django-health-check", "robots": "django-robots",
    "meta": "django-meta", "cookielaw": "django-cookie-law", "cookie_consent": "django-cookie-consent",
    "csp": "django-csp", "htmx": "django-htmx", "django_htmx": "django-htmx",
    "template_partials": "django-template-partials", "slippers": "slippers", "django_components": "django-components",
    "django_cotton": "django-cotton", "django_unicorn": "django-unicorn", "wagtail": "wagtail",
    "modelcluster": "django-modelcluster", "wagtailmenus": "wagtailmenus", "puput": "puput", "oscar": "django-oscar",
    "cart": "django-shopping-cart", "parler": "django-parler", "modeltranslation": "django-modeltranslation",
    "rosetta": "django-rosetta", "hvad": "django-hvad", "tenants": "django-tenants",
    "django_tenants": "django-tenants", "organizations": "django-organizations", "invitations": "django-invitations",
    "friendship": "django-friendship", "actstream": "django-activity-stream", "postman": "django-postman",
    "schedule": "django-scheduler", "newsletter": "django-newsletter", "photologue": "django-photologue",
    "zinnia": "django-blog-zinnia", "mezzanine": "Mezzanine", "formtools": "django-formtools",
    "django_select2": "django-select2", "dal": "django-autocomplete-light",
    "dal_select2": "django-autocomplete-light", "smart_selects": "django-smart-selects",
    "ajax_select": "django-ajax-selects", "extra_views": "django-extra-views", "braces": "django-braces",
    "vanilla": "django-vanilla-views", "viewflow": "django-viewflow", "rules": "rules",
    "private_storage": "django-private-storage", "cleanup": "django-cleanup", "django_cleanup": "django-cleanup",
    "safedelete": "django-safedelete", "dirtyfields": "django-dirtyfields", "django_fsm": "django-fsm",
    "flask": "Flask", "fastapi": "fastapi", "starlette": "starlette", "uvicorn": "uvicorn", "jinja2": "Jinja2",
    "flask_sqlalchemy": "Flask-SQLAlchemy", "sqlalchemy": "SQLAlchemy", "django": "Django", "tweepy": "tweepy",
    "spotipy": "spotipy", "yfinance": "yfinance", "newsapi": "newsapi-python", "wikipedia": "wikipedia",
    "googletrans": "googletrans", "gtts": "gTTS", "pyttsx3": "pyttsx3", "speech_recognition": "SpeechRecognition",
    "tensorflow": "tensorflow", "keras": "keras", "torch": "torch", "requests_oauthlib": "requests-oauthlib",
    "oauthlib": "oauthlib", "itsdangerous": "itsdangerous", "cryptography": "cryptography", "argon2": "argon2-cffi",
    "bcrypt": "bcrypt", "passlib": "passlib", "pyotp": "pyotp", "zxcvbn": "zxcvbn", "tqdm": "tqdm", "click": "click",
    "rich": "rich", "typer": "typer", "termcolor": "termcolor", "colorama": "colorama", "tabulate": "tabulate",
    "selenium": "selenium", "pypandoc": "pypandoc", "ebooklib": "EbookLib", "chardet": "chardet",
    "pkg_resources": "setuptools<81", "setuptools": "setuptools<81",
}  # fmt: skip

OTHER_NAMES: dict[str, frozenset[str]] = {  # distributions that provide the module as well
    "environ": frozenset({"environ-config"}),
    "captcha": frozenset({"django-recaptcha", "django-recaptcha2"}),
    "django_q": frozenset({"django-q"}),
    "registration": frozenset({"django-registration"}),
    "jwt": frozenset({"djangorestframework-simplejwt", "djangorestframework-jwt"}),
    "cv2": frozenset({"opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless"}),
    "psycopg2": frozenset({"psycopg2", "django-heroku"}),
    "psycopg": frozenset({"psycopg", "psycopg-binary", "psycopg-c"}),
    "bootstrap5": frozenset({"django-bootstrap5"}),
    "magic": frozenset({"python-magic-bin"}),
    "Crypto": frozenset({"pycrypto"}),
    "rest_framework_swagger": frozenset({"django-rest-swagger"}),
    "dotenv": frozenset({"django-dotenv"}),
    "tailwind": frozenset({"django-tailwind"}),
    "elasticsearch_dsl": frozenset({"elasticsearch"}),
}


# What a package brings along, so that nothing need declare it.
BROUGHT: dict[str, frozenset[str]] = {
    "wagtail": frozenset(
        {
            "rest_framework",
            "taggit",
            "modelcluster",
            "treebeard",
            "PIL",
            "bs4",
            "requests",
            "django_filters",
            "django_tasks",
        }
    ),
    "django-cms": frozenset({"treebeard", "sekizai", "menus", "formtools", "classytags"}),
    "django-oscar": frozenset(
        {"treebeard", "widget_tweaks", "haystack", "sorl", "django_tables2", "phonenumbers", "PIL"}
    ),
    "django-heroku": frozenset({"dj_database_url", "whitenoise", "psycopg2"}),
    "djoser": frozenset({"rest_framework", "social_django", "templated_mail", "rest_framework_simplejwt"}),
    "django-allauth": frozenset({"requests", "jwt", "requests_oauthlib"}),
    "pandas": frozenset({"numpy", "dateutil", "pytz"}),
    "celery": frozenset({"kombu", "vine", "billiard"}),
    "graphene-django": frozenset({"graphene", "text_unidecode"}),
    "mezzanine": frozenset({"filebrowser_safe", "grappelli_safe", "PIL", "bleach", "requests"}),
}


def of(module: str) -> str | None:
    """The requirement that provides a module, or None when it is not a well-known one."""
    top = module.split(".")[0]
    return KNOWN.get(".".join(module.split(".")[:2])) or KNOWN.get(top)


def name_of(requirement: str) -> str:
    return canonicalize_name(requirement.split("[")[0].split("<")[0].split(">")[0].split("=")[0].strip())


def provided(module: str, declared: frozenset[str]) -> bool:
    """Whether one of the declared (canonical) names is known, or looks, to provide the module."""
    top = module.split(".")[0]
    known = of(module)
    if any(top in BROUGHT.get(name, ()) for name in declared):
        return True
    names = {canonicalize_name(top), canonicalize_name(f"django-{top}")} | OTHER_NAMES.get(top, frozenset())
    return not declared.isdisjoint(names | ({name_of(known)} if known else set()))
