from django.urls import path

from payments import callbacks

urlpatterns = [path("wechat/pay/notify", callbacks.pay_notify)]
