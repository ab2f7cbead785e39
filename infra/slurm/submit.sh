#!/bin/bash
# Submit a stage or a study as a Slurm job, show what it prints, and end as it ends:
#   infra/slurm/submit.sh train@nyu
#   infra/slurm/submit.sh search nyu --workers 4
# SIGTERM (a cancelled flow) cancels the job; its ranks then write a checkpoint. Number of nodes,
# partition, account and time: Slurm's own SBATCH_* variables, or SYMBIO_SBATCH="--nodes 4 ...".
set -u
case "$1" in
  search | ablate) script=infra/slurm/study.sbatch ;;
  *) script=infra/slurm/stage.sbatch ;;
esac
output=$(mktemp "${SYMBIO_TELL:-.}/slurm-XXXXXX.out")
submitted=$(mktemp)
trap 'rm -f "$submitted"; kill "${follower:-}" 2>/dev/null' EXIT

# shellcheck disable=SC2086  # SYMBIO_SBATCH is a list of options.
sbatch --wait --parsable --output "$output" --open-mode append ${SYMBIO_SBATCH:-} \
  "$script" "$@" > "$submitted" &
waiting=$!
cancel() {
  job=$(head -n 1 "$submitted" | cut -d ';' -f 1)
  if [ -n "$job" ]; then scancel "$job"; else kill "$waiting"; fi
}
trap cancel TERM INT
tail -n +1 -F "$output" 2>/dev/null &
follower=$!

# `wait` is also ended by the signals above: wait again until the job has really ended.
while :; do
  wait "$waiting"
  code=$?
  kill -0 "$waiting" 2>/dev/null || break
done
sleep 1

# Slurm says 1 for a job whose node was lost or killed; such a job has said nothing of its own.
if [ "$code" -ne 0 ] && [ ! -e "${SYMBIO_TELL:-.}/ending.json" ] && ! grep -q '^ERROR' "$output"; then
  code=137
fi
exit "$code"
