# One image for scheduler, workers and notebook: what runs a task is what wrote it.
FROM python:3.13-slim-trixie

ENV PATH=/opt/daskclass/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/home/learner \
    DASKCLASS_DATA=/class/data

# Anybody may be the user (see docker-compose.yml), so what is written to is open to anybody inside.
RUN useradd --create-home --uid 1000 learner \
    && mkdir -p /class/labs /class/data /class/build /spill \
    && chmod 1777 /home/learner /class /class/build /spill

# The packages: a layer that changes with the lock only.
COPY requirements.lock /tmp/daskclass/
RUN python -m venv /opt/daskclass \
    && pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /tmp/daskclass/requirements.lock

COPY pyproject.toml README.md LICENSE /tmp/daskclass/
COPY src /tmp/daskclass/src
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation /tmp/daskclass

# JupyterLab: the Dask panes know their scheduler, and no news; and its terminals, which start afresh, find our commands.
COPY docker/overrides.json /opt/daskclass/share/jupyter/lab/settings/overrides.json
RUN echo 'PATH=/opt/daskclass/bin:$PATH' > /etc/profile.d/daskclass.sh

# What JupyterLab opens with: the first lab and the panes. It writes there what people change.
RUN python -m daskclass.workspace /home/learner/workspaces labs/00-start-here.ipynb /proxy/scheduler:8787 \
    && chmod -R a+rwX /home/learner/workspaces
ENV SHELL=/bin/bash

WORKDIR /class
USER 1000:1000
