"""Posts over REST."""

from rest_framework import permissions, serializers, viewsets

from blog.models import Post


class PostSerializer(serializers.ModelSerializer):
    class Meta:
        model = Post
        fields = ("id", "author", "title", "body", "published_at")


class PostViewSet(viewsets.ModelViewSet):
    queryset = Post.objects.order_by("pk")
    serializer_class = PostSerializer
    permission_classes = (permissions.IsAuthenticatedOrReadOnly,)
