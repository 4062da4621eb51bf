# Two images from one file. `service` (API, sweeper, migrations) holds no torch; `worker` holds no flask.
FROM python:3.11-slim-bookworm AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /app
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin actlab
# The dependencies come first, so that a change of the code does not install them again.
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY actlab/__init__.py actlab/

FROM base AS service
RUN pip install --only-binary :all: -c constraints.txt -e '.[service]' \
 && python -m pip uninstall --yes --quiet wheel setuptools
COPY actlab actlab
COPY lab lab
COPY store store
COPY service service
COPY migrations migrations
USER 10001
EXPOSE 8000
CMD ["gunicorn", "--config", "python:service.gunicorn", "service.wsgi:app"]

FROM base AS worker
# Where a plain torch would bring CUDA that is not wanted: the index of CPU builds. Under compose it comes from .env.
ARG TORCH_INDEX_URL=""
RUN if [ -n "$TORCH_INDEX_URL" ]; then pip install 'torch>=2.6,<2.14' --index-url "$TORCH_INDEX_URL"; fi \
 && pip install --only-binary :all: -c constraints.txt -e '.[worker,data]'
# mnist1d imports matplotlib, which keeps its list of fonts; the file system around it is read-only.
ENV MPLCONFIGDIR=/tmp/matplotlib
COPY actlab actlab
COPY lab lab
COPY store store
COPY worker worker
USER 10001
CMD ["python", "-m", "worker"]
