"""What the shop keeps."""

from django.db import models


class SignUp(models.Model):
    """A mobile number that is to be verified by a code."""

    mobile = models.CharField(max_length=20, unique=True)
    code = models.CharField(max_length=6)
    sent_at = models.DateTimeField()
    verified = models.BooleanField(default=False)


class Order(models.Model):
    """An order."""

    mobile = models.CharField(max_length=20)
    item = models.CharField(max_length=100)
