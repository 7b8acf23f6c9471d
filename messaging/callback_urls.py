from django.urls import path

from messaging import callbacks

urlpatterns = [
    path("wechat/oa/callback", callbacks.oa_callback),
    path("wechat/mp/callback", callbacks.mp_callback),
]
