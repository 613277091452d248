# Scores and serves on a CPU. docs/serve.md has the commands.
ARG PYTHON=3.12
FROM python:${PYTHON}-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY cnndetect cnndetect
COPY weights weights
COPY benchmarks/reported.json benchmarks/reported.json
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:${PYTHON}-slim
# The CPU builds of torch are a tenth of the size of those with CUDA.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install --no-cache-dir --index-url "$TORCH_INDEX" torch torchvision
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir "$(echo /wheels/cnndetect-*.whl)[web]"
RUN useradd --create-home --uid 10001 cnndetect
USER cnndetect
WORKDIR /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD \
    ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/api/health', timeout=4)"]
ENTRYPOINT ["cnndetect"]
CMD ["serve", "--host", "0.0.0.0"]
