# Two targets: `web` (small, no torch) and `worker` (CPU torch for training). Both run as `kpay`.
#   docker build --target web -t kpay-web .      docker build --target worker -t kpay-worker .
FROM python:3.11-slim-bookworm AS base
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 \
    KPAY_STATE_DIR=/var/lib/kpay KPAY_STATIC_ROOT=/srv/kpay-static KPAY_WEB_HOST=0.0.0.0
RUN useradd --system --uid 10001 --create-home kpay \
    && mkdir -p /var/lib/kpay /srv/kpay-static && chown kpay /var/lib/kpay /srv/kpay-static
WORKDIR /app
COPY requirements-web.txt ./
RUN pip install -r requirements-web.txt

FROM base AS web
COPY --chown=kpay . .
USER kpay
RUN python -m compileall -q .
# Static files need no secret; the values below are for this one command.
RUN KPAY_ENV=development DATABASE_URL=postgresql://none@127.0.0.1/none \
    python manage.py collectstatic --noinput -v 0
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ.get('PORT', '8000')}/healthz\", timeout=2)"]
CMD ["python", "-m", "kpay_site.serve"]

FROM base AS worker
RUN pip install --index-url https://download.pytorch.org/whl/cpu torch==2.13.0
COPY requirements.txt ./
RUN pip install -r requirements.txt
COPY --chown=kpay . .
USER kpay
RUN python -m compileall -q .
CMD ["python", "-m", "kpay_site.worker"]
