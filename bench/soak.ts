/**
 * A service that goes on for long: does its memory grow? `palate start` answers a steady mix (rankings, scores with their
 * reasons, recommendations, similar people, judgements) from another process, encodes pictures that come and go, changes
 * the version that serves twice a cycle, and has the process that runs its models replaced once a cycle. Memory of the
 * whole tree of processes, PostgreSQL's apart, is what each page costs (PSS), averaged over the same part of each cycle;
 * its slope is that of least squares over the cycles after the warm-up.
 *
 *     npm run bench:soak -- --minutes 30 [--cycle 2] [--warm-up 3] [--rate 10] [--env NAME=VALUE] [--json FILE]
 *
 * Needs Linux. Fails where anything was answered by an error, or the slope is beyond two standard errors of 0.
 */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { childrenWith } from './support/kill/processes.ts';
import { type LoadTimes, startLoadClient } from './support/load/load.ts';
import { figure, quantile } from './support/measure.ts';
import { environmentOf, writeReport } from './support/report.ts';
import { makeDataDirectory, startService } from './support/service.ts';
import { type Line, leastSquares } from './support/soak/leastSquares.ts';
import { mixOf } from './support/soak/mix.ts';
import { comeAndGo } from './support/soak/pictures.ts';
import { addMovedVersions } from './support/soak/versions.ts';
import { ask, fillTenant, makeOperatorKey, makeTenant, raisePoints } from './support/tenants.ts';
import { type TreeMemory, treeMemory } from './support/watched.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    cycle: { type: 'string', default: '2' },
    'warm-up': { type: 'string', default: '3' },
    rate: { type: 'string', default: '10' },
    env: { type: 'string', multiple: true, default: [] },
    json: { type: 'string' },
  },
});
const MINUTES = Number(values.minutes);
const CYCLE_MINUTES = Number(values.cycle);
const WARM_UP = Number(values['warm-up']);
const RATE = Number(values.rate);
const CONNECTIONS = 8;
const SIZES = { people: 20, pictures: 48 };
const LOOK_MS = 2_000;
/** After a replacement two processes run for a while. */
const SETTLE_SECONDS = 15;
const MIB = 2 ** 20;

/** What is seen at once. */
interface Sample extends TreeMemory {
  readonly seconds: number;
  readonly engine: number;
  readonly sinceReplaced: number;
}
/** From one replacement to the next. */
interface Cycle {
  readonly minute: number;
  readonly service: number;
  readonly engine: number;
  readonly all: number;
  readonly postgres: number;
}

const environment = { PALATE_ENGINE_MINUTES: values.cycle, ...environmentOf(values.env) };
const dataDirectory = await makeDataDirectory();
const service = await startService({ dataDirectory, environment });
const client = startLoadClient();
const pid = service.process.pid!;
/** The embedded server is nobody's child. */
const postmaster = Number(
  (await readFile(join(dataDirectory, 'database/cluster/postmaster.pid'), 'utf8')).split('\n')[0],
);
const errors: string[] = [];
const begun = performance.now();
const secondsNow = () => (performance.now() - begun) / 1000;
const stop = new AbortController();
try {
  const empty = await makeTenant(service.url, dataDirectory, 'soak');
  await raisePoints(service.url, await makeOperatorKey(dataDirectory, 'soak'), empty.id);
  const tenant = await fillTenant(empty, SIZES.people, SIZES.pictures);
  const versions = await addMovedVersions(dataDirectory, tenant);
  const plan = { ...mixOf(tenant), connections: CONNECTIONS, rate: RATE, openFirst: true };
  await client.run({ ...plan, seconds: 5 });

  const from = secondsNow();
  const samples: Sample[] = [];
  let promoted = 0;
  const beside = [
    lookOn(samples),
    every(CYCLE_MINUTES * 30_000, async () => {
      await promote(tenant.adminKey, versions[promoted++ % versions.length]!);
    }),
    comeAndGo(tenant, stop.signal, (error) => errors.push(error)),
  ];
  const times: LoadTimes[] = [];
  while (secondsNow() - from < MINUTES * 60) times.push(await client.run({ ...plan, seconds: 20 }));
  stop.abort();
  await Promise.all(beside);
  for (const { failures } of times) {
    for (const [failure, count] of Object.entries(failures)) errors.push(`${count} × ${failure}`);
  }

  const cycles = cyclesOf(samples);
  const counted = cycles.slice(WARM_UP);
  const slope = leastSquares(counted.map(({ minute, all }) => [minute / 60, all / MIB]));
  const ms = times.flatMap((each) => each.ms);
  const flat = slope !== null && Math.abs(slope.slope) <= 2 * slope.standardError;
  const found = {
    ...{ minutes: MINUTES, cycles, warmUp: WARM_UP, promotions: promoted },
    requests: ms.length,
    p50: quantile(ms, 0.5),
    p99: quantile(ms, 0.99),
    ...{ errors, mibAnHour: slope, flat },
  };
  print(found);
  await writeReport(values.json, { bench: 'soak', settings: { environment, rate: RATE, ...SIZES }, figures: found });
  if (errors.length > 0 || !flat) process.exitCode = 1;
} finally {
  stop.abort();
  client.close();
  await service.stop();
  await rm(dataDirectory, { recursive: true, force: true });
}

/** Memory, again and again, and how long ago the engine's process was replaced. */
async function lookOn(samples: Sample[]): Promise<void> {
  let engine = 0;
  let replacedAt = secondsNow();
  while (!stop.signal.aborted) {
    const engines = await childrenWith(pid, 'engineMain');
    const newest = Math.max(...engines);
    if (newest !== engine) [engine, replacedAt] = [newest, secondsNow()];
    const memory = { ...(await treeMemory(pid)), postgres: (await treeMemory(postmaster)).postgres };
    const sinceReplaced = secondsNow() - replacedAt;
    samples.push({ ...memory, engine: engines.length === 1 ? engine : 0, seconds: secondsNow(), sinceReplaced });
    await delay(LOOK_MS, undefined, { signal: stop.signal }).catch(() => {});
  }
}

async function every(ms: number, work: () => Promise<void>): Promise<void> {
  while (!stop.signal.aborted) {
    await work().catch((error: unknown) => errors.push(String(error)));
    await delay(ms, undefined, { signal: stop.signal }).catch(() => {});
  }
}

async function promote(adminKey: string, id: string): Promise<void> {
  const document = 'mutation ($id: ID!) { promoteModel(input: {id: $id}) { userErrors { message } } }';
  const { promoteModel } = await ask<{ promoteModel: { userErrors: { message: string }[] } }>(
    ...([service.url, adminKey, document, { id }] as const),
  );
  for (const { message } of promoteModel.userErrors) errors.push(message);
}

/** Whole cycles: of each what lies between the settling after a replacement and the next one. */
function cyclesOf(samples: readonly Sample[]): Cycle[] {
  const settled = samples.filter(({ engine, sinceReplaced }) => engine > 0 && sinceReplaced >= SETTLE_SECONDS);
  const engines = [...new Set(settled.map(({ engine }) => engine))].slice(0, -1); // the last was cut short
  return engines.map((engine) => {
    const own = settled.filter((sample) => sample.engine === engine);
    const of = (what: (sample: Sample) => number) => own.reduce((sum, each) => sum + what(each), 0) / own.length;
    const all = of(({ processes }) => [...processes.values()].reduce((sum, bytes) => sum + bytes, 0));
    return {
      minute: own[0]!.seconds / 60,
      service: of(({ processes }) => processes.get(pid) ?? 0),
      engine: of(({ processes }) => processes.get(engine) ?? 0),
      all,
      postgres: of(({ postgres }) => postgres),
    };
  });
}

function print(found: {
  readonly cycles: readonly Cycle[];
  readonly promotions: number;
  readonly requests: number;
  readonly p50: number;
  readonly p99: number;
  readonly mibAnHour: Line | null;
  readonly flat: boolean;
}): void {
  const mib = (bytes: number) => figure(bytes / MIB);
  console.log(
    '| minute | service, MiB | engine, MiB | all but PostgreSQL, MiB | PostgreSQL, MiB |\n|---|---|---|---|---|',
  );
  for (const { minute, service: main, engine, all, postgres } of found.cycles) {
    console.log(`| ${figure(minute)} | ${mib(main)} | ${mib(engine)} | ${mib(all)} | ${mib(postgres)} |`);
  }
  const { mibAnHour: line, requests, p50, p99, promotions } = found;
  console.log(
    line === null
      ? '\nToo few cycles after the warm-up for a slope.'
      : `\nSlope: ${line.slope.toFixed(1)} MiB an hour, standard error ${line.standardError.toFixed(1)}: ${found.flat ? 'not distinguishable from 0' : 'not 0'}.`,
  );
  console.log(
    `${requests} requests, p50 ${figure(p50)} ms, p99 ${figure(p99)} ms; ${found.cycles.length} replacements, ${promotions} promotions; errors: ${errors.length}.`,
  );
  for (const error of errors.slice(0, 20)) console.log(`  ${error}`);
}
