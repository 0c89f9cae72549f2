# One image for scheduler, workers and notebook: a task runs on the versions that wrote it.
ARG PYTHON_IMAGE=python:3.13-slim-trixie
FROM ${PYTHON_IMAGE}

ENV PATH=/opt/daskclass/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/home/learner \
    DASKCLASS_DATA=/class/data

# The containers may run as any user (see docker-compose.yml), so these folders are writable for everybody inside.
RUN useradd --create-home --uid 1000 learner \
    && mkdir -p /class/labs /class/data /class/build /spill \
    && chmod 1777 /home/learner /class /class/build /spill

# The packages: a layer that changes only with the locks. uv installs them and stays out of the image. It doesn't
# compile unless asked to, and the containers' user couldn't store compiled files later.
RUN --mount=type=bind,source=requirements.lock,target=/tmp/requirements.lock \
    --mount=type=bind,source=requirements-uv.lock,target=/tmp/requirements-uv.lock \
    --mount=type=cache,id=daskclass-packages,target=/var/cache/packages \
    export PIP_CACHE_DIR=/var/cache/packages/pip UV_CACHE_DIR=/var/cache/packages/uv \
    && python -m venv /opt/daskclass \
    && python -m venv /tmp/uv \
    && /tmp/uv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r /tmp/requirements-uv.lock \
    && /tmp/uv/bin/uv pip install --python /opt/daskclass/bin/python --link-mode copy --compile-bytecode \
        --require-hashes -r /tmp/requirements.lock \
    && rm -r /tmp/uv

RUN --mount=type=bind,target=/tmp/daskclass,rw \
    pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation /tmp/daskclass

# JupyterLab: the settings of `daskclass lab`, and panes that know their scheduler. Its terminals, which start afresh,
# find our commands.
COPY src/daskclass/jupyter /opt/daskclass/etc/jupyter
COPY docker/overrides.json /opt/daskclass/share/jupyter/lab/settings/overrides.json
RUN echo 'PATH=/opt/daskclass/bin:$PATH' > /etc/profile.d/daskclass.sh

# What JupyterLab opens with: the first lab and the panes. It writes there what people change.
RUN python -m daskclass.commands.workspace /home/learner/workspaces labs/00-start-here.ipynb /proxy/scheduler:8787 \
    && chmod -R a+rwX /home/learner/workspaces
ENV SHELL=/bin/bash

WORKDIR /class
USER 1000:1000
