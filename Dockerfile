# The production image: the locked runtime packages and the program, nothing to build or test with.
# PYTHON_IMAGE is given with its digest in production (name@sha256:…), see docker-compose.yml.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
COPY requirements/prod.txt /build/prod.txt
RUN /opt/venv/bin/pip install --require-hashes --only-binary :all: -r /build/prod.txt
COPY manage.py /srv/medisetup/
COPY accounts /srv/medisetup/accounts
COPY practitioners /srv/medisetup/practitioners
COPY billing /srv/medisetup/billing
COPY ehealth /srv/medisetup/ehealth
COPY medisetup /srv/medisetup/medisetup
COPY templates /srv/medisetup/templates
COPY static /srv/medisetup/static
COPY locale /srv/medisetup/locale
WORKDIR /srv/medisetup
# Collecting static files reads the settings; the values below are used by this line alone and stay in no layer.
RUN /opt/venv/bin/python -m medisetup.local.catalogues \
 && SECRET_KEY=build SEALING_KEYS=build PORTAL_ORIGIN=https://build.invalid \
    DATABASE_URL=postgres://build.invalid/build REDIS_URL=redis://build.invalid \
    EHEALTH_ISSUERS_FILE= EHEALTH_STS_CERTIFICATES_FILE= \
    EHEALTH_LICENCE_NAME= EHEALTH_LICENCE_USERNAME= EHEALTH_LICENCE_PASSWORD= \
    /opt/venv/bin/python manage.py collectstatic --no-input \
 && /opt/venv/bin/python -m compileall -q /srv/medisetup

FROM ${PYTHON_IMAGE}
RUN groupadd --system --gid 10001 medisetup \
 && useradd --system --uid 10001 --gid medisetup --no-create-home --shell /usr/sbin/nologin medisetup \
 && install -d -o medisetup -g medisetup -m 0700 /data
COPY --from=build /opt/venv /opt/venv
COPY --from=build /srv/medisetup /srv/medisetup
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 DJANGO_SETTINGS_MODULE=medisetup.settings
WORKDIR /srv/medisetup
USER 10001:10001
EXPOSE 8000
CMD ["gunicorn", "-c", "python:medisetup.gunicorn", "-b", "0.0.0.0:8000", "medisetup.wsgi"]
