/**
 * What happens at and beyond capacity, over HTTP with `rank { scores { value } }` of 200: how late the main thread's
 * event loop is at 32 connections, each another person's; at three times capacity, how much is still answered, how soon
 * the rest is OVERLOADED, and how much memory is held; and what a tenant that asks for ten times its share costs another
 * that keeps within its own, where a share is a tenth of capacity (the flood is as much as all together may ask for) and
 * where it is half (five times as much).
 *
 *     npm run bench:overload [-- --env NAME=VALUE] [--json FILE]
 *
 * Runs for some six minutes. Needs Linux. Beyond capacity requests come at a fixed rate, whatever becomes of those
 * before (a time counts from when a request was due), over more connections than are answered at once, opened
 * beforehand. Clients, service and database share the machine: what refusing takes is in the goodput.
 */
import { parseArgs } from 'node:util';
import { PreferenceModel, SHIPPED_MODEL } from '../src/inference/preferenceModel.ts';
import { rankPlan, type ServedTenant, startDrawnService } from './support/drawnService.ts';
import { type LoadPlan, type LoadTimes, startLoadClient } from './support/load/load.ts';
import { figure, median, quantile } from './support/measure.ts';
import { environmentOf, writeReport } from './support/report.ts';
import { peakMemory, treeBytes, watchLoop } from './support/watched.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '4' },
    seconds: { type: 'string', default: '8' },
    env: { type: 'string', multiple: true, default: [] },
    json: { type: 'string' },
  },
});
const ROUNDS = Number(values.rounds);
const SECONDS = Number(values.seconds);
const CANDIDATES = 200;
const CONNECTIONS = 32;
const OVERLOAD = 3;
/** Tenants that share the service: a share is as small a part of capacity. */
const TENANTS = [10, 2];
const FLOOD = 10;
/** Of its share: what the tenant that keeps within it asks for. */
const WITHIN = 0.8;
/** More than the service answers at once: a request that is due must not wait for a connection. */
const OPEN = { connections: 500, openFirst: true };
const SIZES = { people: CONNECTIONS, images: 1000, judged: 40 };
const MIB = 2 ** 20;

type Plan = Omit<LoadPlan, 'seconds'>;

const loop = watchLoop();
const environment = environmentOf(values.env);
const model = await PreferenceModel.load(SHIPPED_MODEL);
const started = await startDrawnService({
  ...{ model, sizes: SIZES, tenants: 2 },
  environment: { ...environment, ...loop.environment },
});
await model.close();
const { service, tenants } = started;
const [first, second] = tenants as [ServedTenant, ServedTenant];
const pid = service.process.pid!;
const clients = [startLoadClient(), startLoadClient()] as const;
const run = (plan: Plan, seconds = SECONDS): Promise<LoadTimes> => clients[0].run({ ...plan, seconds });
try {
  const plan = rankPlan(first, CONNECTIONS, CANDIDATES);
  await run(plan);
  await run(rankPlan(second, CONNECTIONS, CANDIDATES));
  const figures = { atCapacity: await atCapacity(plan), beyond: await beyond(plan), beside: await besideEach(plan) };
  await writeReport(values.json, {
    bench: 'overload',
    settings: { environment, candidates: CANDIDATES, connections: CONNECTIONS, rounds: ROUNDS, seconds: SECONDS },
    figures,
  });
} finally {
  for (const client of clients) client.close();
  await started.stop();
}

/** As many as 32 connections carry. */
async function atCapacity(plan: Plan) {
  const windows = await inRounds(async () => {
    await loop.look(pid);
    const times = await run(plan);
    return { times, delay: await loop.look(pid) };
  });
  const of = (what: (window: (typeof windows)[number]) => number): number => median(windows.map(what));
  const found = {
    capacity: of(({ times }) => rateOf(times)),
    ...{ p50: of(({ times }) => quantile(times.ms, 0.5)), p99: of(({ times }) => quantile(times.ms, 0.99)) },
    ...{ p999: of(({ times }) => quantile(times.ms, 0.999)) },
    ...{ loopP50: of(({ delay }) => delay.p50), loopP99: of(({ delay }) => delay.p99) },
    ...{ loopP999: of(({ delay }) => delay.p999), loopMax: of(({ delay }) => delay.max) },
  };
  console.log(`At ${CONNECTIONS} connections: ${figure(found.capacity)} requests a second`);
  console.table({
    'answers, ms': columns(found.p50, found.p99, found.p999),
    'event loop late, ms': columns(found.loopP50, found.loopP99, found.loopP999),
  });
  return found;
}

/** Three times of it, beside as much as it carries, in turn. */
async function beyond(plan: Plan) {
  const restBytes = await treeBytes(pid);
  const windows = await inRounds(async () => {
    const capacity = rateOf(await run(plan));
    const flood = { ...plan, rate: OVERLOAD * capacity, ...OPEN };
    const { result: times, peakBytes } = await peakMemory(pid, () => run(flood));
    return { capacity, times, peakBytes };
  });
  const refused = windows.flatMap(({ times }) => times.refused['OVERLOADED'] ?? []);
  const answered = windows.flatMap(({ times }) => times.ms);
  const others = windows.flatMap(({ times }) =>
    Object.entries(times.refused).flatMap(([code, ms]) => (code === 'OVERLOADED' ? [] : ms.map(() => code))),
  );
  const found = {
    goodput: median(windows.map(({ capacity, times }) => rateOf(times) / capacity)),
    ...{ answered: answered.length, refused: refused.length, otherwise: tally(others) },
    ...{ answeredMs: quantiles(answered), refusedMs: quantiles(refused) },
    ...{ restBytes, peakBytes: windows.map(({ peakBytes }) => peakBytes) },
  };
  console.log(`At ${OVERLOAD} times capacity: ${figure(100 * found.goodput)} % of it answered, median of ${ROUNDS}`);
  console.table({
    answered: { requests: answered.length, ...columns(...quantiles(answered)) },
    OVERLOADED: { requests: refused.length, ...columns(...quantiles(refused)) },
  });
  if (others.length > 0) console.log('otherwise:', found.otherwise);
  const peaks = found.peakBytes.map((bytes) => figure(bytes / MIB)).join(', ');
  console.log(`memory: ${figure(restBytes / MIB)} MiB before, at most ${peaks} in turn`);
  return found;
}

async function besideEach(plan: Plan) {
  const found = [];
  for (const tenants of TENANTS) found.push(await beside(plan, tenants));
  return found;
}

/** A tenant within its share, alone and beside one that asks for ten times its own. */
async function beside(plan: Plan, sharing: number) {
  const share = rateOf(await run(plan)) / sharing;
  const quiet = { ...rankPlan(second, CONNECTIONS, CANDIDATES), rate: WITHIN * share, ...OPEN };
  const flood = { ...plan, rate: FLOOD * share, ...OPEN };
  const windows = await inRounds(async () => {
    const alone = await run(quiet);
    const flooding = clients[1].run({ ...flood, seconds: SECONDS });
    const crowded = await run(quiet);
    return { alone, crowded, flooded: await flooding };
  });
  const ratios = windows.map(({ alone, crowded }) => quantile(crowded.ms, 0.99) / quantile(alone.ms, 0.99));
  const rows = {
    alone: windows.map(({ alone }) => alone),
    beside: windows.map(({ crowded }) => crowded),
    'the flood': windows.map(({ flooded }) => flooded),
  };
  console.log(
    `A share is 1/${sharing} of capacity. A tenant at ${figure(quiet.rate)} a second, alone and beside one at ${figure(flood.rate)}`,
  );
  console.table(
    Object.fromEntries(
      Object.entries(rows).map(([name, times]) => {
        const ms = times.flatMap((window) => window.ms);
        const failed = times.flatMap((window) => Object.values(window.refused).flat()).length;
        return [name, { requests: ms.length, failed, ...columns(...quantiles(ms)) }];
      }),
    ),
  );
  console.log(`p99 beside against alone, median of ${ROUNDS}: ${figure(median(ratios))} ×`);
  return { sharing, quietRate: quiet.rate, floodRate: flood.rate, ratios, p99Ratio: median(ratios) };
}

async function inRounds<T>(round: () => Promise<T>): Promise<T[]> {
  const rounds: T[] = [];
  for (let i = 0; i < ROUNDS; i++) rounds.push(await round());
  return rounds;
}

function rateOf({ ms, seconds }: LoadTimes): number {
  return ms.length / seconds;
}

function quantiles(ms: readonly number[]): [number, number, number] {
  return ms.length === 0 ? [0, 0, 0] : [quantile(ms, 0.5), quantile(ms, 0.99), quantile(ms, 0.999)];
}

function columns(p50: number, p99: number, p999: number): Record<string, string> {
  return { p50: figure(p50), p99: figure(p99), 'p99.9': figure(p999) };
}

function tally(words: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
}
