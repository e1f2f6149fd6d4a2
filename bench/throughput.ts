/**
 * Candidates a second, each beside its peer: the raw engine at one thread; `rank { scores { value } }` of 200 over HTTP
 * at 1, 8, 32 and 128 connections, each another person's; and the Python services of bench/peers from the same weights.
 * Starts them all itself and lets them run in turn; every client is in another process.
 *
 *     npm run bench:throughput [-- --env PALATE_USER_STATE_CACHE_BYTES=0] [--processes 1] [--json FILE]
 *
 * Runs for some three minutes. The tenant is drawn: no picture, item vectors and judgements written into the database.
 * Python is left out, with a line that says so, where it lacks the packages (bench/peers/README.md). `--env` sets the
 * service's environment, and can be given several times.
 */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { PreferenceModel, SHIPPED_MODEL } from '../src/inference/preferenceModel.ts';
import { rankPlan, startDrawnService } from './support/drawnService.ts';
import { candidatesOf, type DrawnTenant, historyOf } from './support/drawnTenant.ts';
import { type LoadPlan, startLoadClient } from './support/load/load.ts';
import { figure, median } from './support/measure.ts';
import {
  checkPeer,
  exportTenant,
  findPython,
  type Peer,
  question,
  removeExport,
  startPeer,
  WAYS,
} from './support/peers.ts';
import { environmentOf, writeReport } from './support/report.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    env: { type: 'string', multiple: true, default: [] },
    python: { type: 'string' },
    processes: { type: 'string', default: String(cpus().length) },
    json: { type: 'string' },
  },
});
const ROUNDS = Number(values.rounds);
const SECONDS = Number(values.seconds);
const PROCESSES = Number(values.processes);
const CANDIDATES = 200;
const CONNECTIONS = [1, 8, 32, 128];
/** Of the peers, and of what they are compared with. */
const PEER_CONNECTIONS = 32;
const SIZES = { people: Math.max(...CONNECTIONS), images: 1000, judged: 40 };
/** People of one run of the raw engine: the best of these is what it can do. */
const BATCHES = [1, 2, 4, 8, 16, 32];
const CHECKED_PEOPLE = 4;
/** One tenant may hold half of the requests in flight: all 128 connections must find room. */
const environment = { PALATE_MAX_REQUESTS_IN_FLIGHT: String(4 * SIZES.people), ...environmentOf(values.env) };

/** What runs in turn: candidates a second within so many seconds. */
type Contender = (seconds: number) => Promise<number>;

const model = await PreferenceModel.load(SHIPPED_MODEL);
const { tenants, stop } = await startDrawnService({ model, sizes: SIZES, environment });
const tenant = tenants[0]!;
const client = startLoadClient();
const exported = await exportTenant(tenant.drawn);
const peers: Peer[] = [];
try {
  const contenders = new Map<string, Contender>();
  const { batch, run } = await rawEngine(tenant.drawn);
  contenders.set('raw engine', run);
  for (const connections of CONNECTIONS) {
    contenders.set(`rank at ${connections}`, overHttp(rankPlan(tenant, connections, CANDIDATES)));
  }
  const python = findPython(values.python);
  if (python) await addPeers(contenders);
  else console.log('Python is left out: python3 lacks torch, fastapi or uvicorn (bench/peers/README.md).');

  const perSecond = await inTurn(contenders);
  const best = perSecond['raw engine']!;
  console.log(`raw engine: ${batch} people a run; Python: ${python ? `${PROCESSES} processes` : 'none'}`);
  console.table(
    Object.fromEntries(
      Object.entries(perSecond).map(([name, value]) => [
        name,
        { 'candidates a second': figure(value), 'of the raw engine': `${figure((100 * value) / best)} %` },
      ]),
    ),
  );
  const ours = perSecond[`rank at ${PEER_CONNECTIONS}`]!;
  const ratios = Object.fromEntries(
    Object.entries(perSecond)
      .filter(([name]) => name.startsWith('python') || name === 'raw engine')
      .map(([name, value]) => [name, ours / value]),
  );
  for (const [name, ratio] of Object.entries(ratios)) {
    console.log(`rank at ${PEER_CONNECTIONS} connections against ${name}: ${figure(ratio)} ×`);
  }
  await writeReport(values.json, {
    bench: 'throughput',
    settings: {
      ...{ environment, candidates: CANDIDATES, sizes: SIZES, rounds: ROUNDS, seconds: SECONDS },
      python,
      batch,
      processes: PROCESSES,
    },
    figures: { candidatesASecond: perSecond, ratios },
  });

  async function addPeers(to: Map<string, Contender>): Promise<void> {
    for (const way of WAYS) {
      const peer = await startPeer(python!, way, exported, PROCESSES);
      peers.push(peer);
      await checkPeer(peer, model, tenant.drawn, CHECKED_PEOPLE, CANDIDATES);
      const bodies = Array.from({ length: PEER_CONNECTIONS }, (_, person) =>
        question(tenant.drawn, person, CANDIDATES),
      );
      to.set(
        `python, ${way}`,
        overHttp({ url: peer.url, path: '/rank', key: '', bodies, connections: PEER_CONNECTIONS }),
      );
    }
  }
} finally {
  client.close();
  for (const peer of peers) await peer.stop();
  await stop();
  await removeExport(exported);
  await model.close();
}

/** The engine alone, states at hand, in batches as large as serve it best. */
async function rawEngine(drawn: DrawnTenant): Promise<{ batch: number; run: Contender }> {
  const people = drawn.people.slice(0, Math.max(...BATCHES));
  const states = await model.userStates(people.map((person) => historyOf(drawn, person)));
  const requests = states.map((state, person) => ({
    state,
    targets: candidatesOf(drawn, person, CANDIDATES).map((place) => drawn.images[place]!.item),
  }));
  const running = (batch: number): Contender => {
    const together = requests.slice(0, batch);
    return async (seconds) => {
      const begun = performance.now();
      let runs = 0;
      while (performance.now() - begun < seconds * 1000) {
        await model.score(together, { attention: false });
        runs++;
      }
      return (1000 * runs * batch * CANDIDATES) / (performance.now() - begun);
    };
  };
  const speeds = new Map<number, number>();
  for (const batch of BATCHES) {
    await running(batch)(0.2);
    speeds.set(batch, await running(batch)(1));
  }
  const batch = BATCHES.reduce((best, other) => (speeds.get(other)! > speeds.get(best)! ? other : best));
  return { batch, run: running(batch) };
}

function overHttp(plan: Omit<LoadPlan, 'seconds'>): Contender {
  return async (seconds) => {
    const times = await client.run({ ...plan, seconds });
    const [failure] = Object.keys(times.failures);
    if (failure) throw new Error(`A request failed: ${failure}`);
    return (times.ms.length * CANDIDATES) / times.seconds;
  };
}

/** Medians over the rounds, of which the first is to warm up. */
async function inTurn(contenders: ReadonlyMap<string, Contender>): Promise<Record<string, number>> {
  const seen = new Map<string, number[]>([...contenders.keys()].map((name) => [name, []]));
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [name, run] of contenders) {
      const perSecond = await run(SECONDS);
      if (round > 0) seen.get(name)!.push(perSecond);
    }
  }
  return Object.fromEntries([...seen].map(([name, figures]) => [name, median(figures)]));
}
