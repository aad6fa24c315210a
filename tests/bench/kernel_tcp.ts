/** What TCP costs more. */
import { interleave, quotients } from "./interleave.ts";
import { KernelNode } from "./kernel_node.ts";
import { type Benchmark, type Figure, summary } from "./measure.ts";
import { shared } from "./shared.ts";

const BYTES = 100_000_000;
const TRIPS = 2_000;
const TRIP_BYTES = 64;
const ROUNDS = 40;

/** Both ends share one CPU, so that it is what the CPU can do and not how the two happened to meet. */
const tcpFigures = shared(async (interrupted): Promise<Record<"throughput" | "roundTrip", Figure>> => {
  await using node = await KernelNode.start({ statistics: false });
  const sink = await node.inPod("tcp-server", "127.0.0.1", "0");
  const echo = await node.inPod("tcp-server", "127.0.0.1", "0", "--mode", "echo");
  const sender = await node.inPod("tcp-client", "127.0.0.1", String(sink.port));
  const asker = await node.inPod("tcp-client", "127.0.0.1", String(echo.port));
  await asker.send("connect");
  const { byte, trip } = await interleave({
    conditions: { nothing: node.nothing, agent: node.agent("standard") },
    loads: {
      byte: node.timeWithSoftirqs(BYTES, () => sender.go(BYTES), sender, sink),
      trip: node.timeWithSoftirqs(TRIPS, () => asker.send(`rr ${TRIPS} ${TRIP_BYTES}`), asker, echo),
    },
    rounds: ROUNDS,
    runs: 5,
  }, interrupted);
  const note = `${ROUNDS} rounds; both ends on one CPU${node.disturbance}`;
  return {
    throughput: {
      ...within(8 / summary(byte.nothing).value, quotients(byte.nothing, byte.agent)),
      unit: "Gbit/s",
      note,
    },
    roundTrip: {
      ...within(summary(trip.nothing).value / 1_000, quotients(trip.agent, trip.nothing)),
      unit: "µs",
      note,
    },
  };
});

/** The figure that is as many times its reference as the median round says, with the least and the most of a round. */
function within(reference: number, rounds: readonly number[]) {
  const { value, range: [min, max] } = summary(rounds);
  const range: [number, number] = [reference * min, reference * max];
  return { value: reference * value, range, reference };
}

export const TCP_BENCHMARKS: readonly Benchmark[] = [
  {
    name: "tcp_kept",
    measures: "TCP throughput over loopback, in a pod",
    reference: "without the agent",
    goal: { atLeast: 0.97 },
    run: async (interrupted) => (await tcpFigures(interrupted)).throughput,
  },
  {
    name: "tcp_rr_added",
    measures: `time of a TCP request and its response, ${TRIP_BYTES} bytes each, over loopback, in a pod`,
    reference: "without the agent",
    goal: { atMost: 1.05 },
    run: async (interrupted) => (await tcpFigures(interrupted)).roundTrip,
  },
];
