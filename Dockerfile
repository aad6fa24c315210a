# The agent's container image. Every stage runs on the platform that is built for, so that nothing here names one.

FROM debian:bookworm-slim AS deno
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates npm
ARG DENO_VERSION=2.9.6
# The program is in the package for the platform; the install script of the other would only link to it.
RUN npm install --global --ignore-scripts "deno@${DENO_VERSION}" \
  && cd "$(npm root --global)/deno" \
  && install -D node_modules/@deno/*/deno /runtime/usr/local/bin/deno \
  && install -D --mode=644 LICENSE /runtime/usr/share/doc/deno/copyright \
  && install --mode=644 package.json /runtime/usr/share/doc/deno/package.json

FROM debian:bookworm-slim AS build
RUN apt-get update && apt-get install --yes --no-install-recommends clang gcc libbpf-dev libc6-dev
COPY --from=deno /runtime /runtime
ENV PATH=$PATH:/runtime/usr/local/bin
WORKDIR /app
# The agent's packages, and of these what a program can load. The sources are compiled now: the agent may not write.
COPY native/image_packages.ts native/
COPY deno.json deno.lock mod.ts ./
COPY src src
RUN deno run --no-config --allow-read=. --allow-write=. native/image_packages.ts \
  && DENO_DIR=/agent/deno deno install --quiet --frozen --entrypoint mod.ts \
  && find /agent/deno -mindepth 1 -maxdepth 1 ! -name gen -exec rm -r {} + \
  && find node_modules -type f -regextype posix-extended \
    \( -path '*/test/*' -o -path '*/musl_*' -o ! -regex '.*\.([cm]?js|json|node)|.*/LICENSE[^/]*' \) -delete \
  && find node_modules -type d -empty -delete
COPY bpf bpf
COPY native native
RUN cp src/native/layouts.gen.ts /tmp \
  && deno task build \
  && if ! cmp src/native/layouts.gen.ts /tmp/layouts.gen.ts; then \
    echo 'src/native/layouts.gen.ts is not what bpf/ makes: run "deno task build" and commit it' >&2; exit 1; \
  fi
# Of the system only the libraries, with the copyrights of their packages, and with the versions and the release, which
# scanners for vulnerabilities look at. The native library opens libcrypt when there are passwords to compare.
RUN set -eu; \
  mkdir -p /runtime/etc /runtime/var/lib/dpkg/status.d; \
  cp --dereference /etc/os-release /runtime/etc; \
  libcrypt=$(ldconfig --print-cache | sed --quiet 's/.*libcrypt\.so\.1 .* => //p'); \
  for library in "$libcrypt" $(ldd /runtime/usr/local/bin/deno native/build/libkpod.so $(find node_modules/ -name '*.node') \
    | sed --quiet --regexp-extended 's/.*\s(\/.+) \(0x.*/\1/p' | sort --unique); do \
    package=$(dpkg --search "*/${library##*/}" | cut --delimiter=: --fields=1 | sort --unique); \
    cp --dereference --parents "$library" "/usr/share/doc/$package/copyright" /runtime; \
    dpkg --status "$package" > "/runtime/var/lib/dpkg/status.d/$package"; \
  done; \
  printf '%s\n' root:x:0:0::/:/ nobody:x:65534:65534::/:/ > /runtime/etc/passwd; \
  printf '%s\n' root:x:0: nogroup:x:65534: > /runtime/etc/group
COPY LICENSE /agent/usr/share/doc/kpod-metrics/copyright
RUN mkdir /agent/app \
  && cp --recursive --parents deno.json deno.lock mod.ts src node_modules bpf/*.bpf.o native/build /agent/app/ \
  && chmod --recursive a=r,a+X /agent/app /agent/deno

FROM scratch
COPY --from=build /runtime /
COPY --from=build /agent /
ENV PATH=/usr/local/bin DENO_DIR=/deno DENO_NO_UPDATE_CHECK=1
# Between two scrapes the agent needs next to nothing, and the engine would keep what one takes. Garbage is collected at
# once, by the main thread: what is made while it is being marked would all live on. docs/performance.md has the figures.
ENV DENO_V8_FLAGS=--optimize-for-size,--heap-growing-percent=20,--no-incremental-marking,--single-threaded-gc,--no-flush-bytecode
WORKDIR /app
EXPOSE 9090
ENTRYPOINT ["deno", "run", "--quiet", "--no-remote", "-P=agent", "--no-prompt", "mod.ts"]
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="kpod-metrics" \
  org.opencontainers.image.description="Per-pod, per-container kernel metrics for Prometheus" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.licenses="Apache-2.0 AND (GPL-2.0-only OR BSD-2-Clause)"
