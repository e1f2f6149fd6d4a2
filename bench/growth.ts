/**
 * How long requests take as an installation grows by factors of ten: with tenants, with people a tenant and with images a
 * tenant, everything else as it was.
 *
 *     npm run bench:growth [-- --only images] [--plots FOLDER] [--env NAME=VALUE] [--json FILE]
 *
 * Runs for some six minutes. All tenants are in one service and one database from the beginning, so that what differs is
 * what is asked for: of how many tenants in turn, of which size. Judgements, item vectors and profiles are drawn. Requests
 * come from another process, one after the other; each figure is the median of those of two seconds, after a second or more of
 * warm-up, in which memory takes in what it keeps. Submitting feedback goes last: it makes stale what the others read.
 * `--only` takes tenants, people or images alone; `--plots` writes an SVG a table.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { idOf, toGlobalId } from '../src/domain/ids.ts';
import { PreferenceModel, SHIPPED_MODEL } from '../src/inference/preferenceModel.ts';
import { type Axis, linePlot } from '../src/training/evaluation/svgPlot.ts';
import { inDatabase, type ServedTenant, startEmptyService } from './support/drawnService.ts';
import {
  candidatesOf,
  type DrawnSizes,
  type DrawnTenant,
  drawTenant,
  imageId,
  withProfiles,
  writeTenants,
} from './support/drawnTenant.ts';
import { type LoadClient, type LoadPlan, startLoadClient } from './support/load/load.ts';
import { figure, median } from './support/measure.ts';
import { environmentOf, writeReport } from './support/report.ts';
import { makeTenant, raisePoints } from './support/tenants.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    plots: { type: 'string' },
    env: { type: 'string', multiple: true, default: [] },
    json: { type: 'string' },
  },
});
const WARM_UP_SECONDS = 1;
const SECONDS = 2;
/** Of which throughput is the rate. */
const CONNECTIONS = 8;
const CANDIDATES = 200;
const ROWS = 500;
/** Of one tenant, that ask in turn. */
const PEOPLE_ASKED = 20;

interface Dimension {
  /** What there is ten times as much of. */
  readonly name: string;
  readonly counts: readonly number[];
  /** Tenants for such a count, and what each of them has. */
  readonly tenants: (count: number) => number;
  readonly sizes: (count: number) => DrawnSizes;
}

const SMALL: DrawnSizes = { people: 50, images: 500, judged: 20 };
const ALL_DIMENSIONS: readonly Dimension[] = [
  { name: 'tenants', counts: [1, 10, 100], tenants: (count) => count, sizes: () => SMALL },
  {
    name: 'people a tenant',
    counts: [100, 1_000, 10_000],
    tenants: () => 1,
    sizes: (people) => ({ people, images: 1_000, judged: 20 }),
  },
  {
    name: 'images a tenant',
    counts: [1_000, 10_000, 100_000],
    tenants: () => 1,
    sizes: (images) => ({ people: 50, images, judged: 20 }),
  },
];

const DIMENSIONS = ALL_DIMENSIONS.filter(({ name }) => !values.only || name.startsWith(values.only));

/** A request of a person of a tenant, by their place, as its body. */
type Request = (tenant: ServedTenant, person: number) => { query: string; variables: object };

const ofUser = (selection: string, tenant: ServedTenant, person: number) => ({
  query: `query ($externalId: String!) { user(by: { externalId: $externalId }) { ${selection} } }`,
  variables: { externalId: tenant.drawn.people[person]!.externalId },
});

const REQUESTS: Readonly<Record<string, Request>> = {
  [`rank of ${CANDIDATES}`]: ({ drawn }, person) => ({
    query:
      'query ($externalId: String!, $imageIds: [ID!]!) { user(by: { externalId: $externalId }) { rank(imageIds: $imageIds) { scores { value } } } }',
    variables: {
      externalId: drawn.people[person]!.externalId,
      imageIds: candidatesOf(drawn, person, CANDIDATES).map((place) => imageId(drawn, place)),
    },
  }),
  'recommendations, first 20': (tenant, person) =>
    ofUser('recommendations(first: 20) { nodes { value image { id } } }', tenant, person),
  'nextToRate, first 8': (tenant, person) => ofUser('nextToRate(first: 8) { id }', tenant, person),
  'similarImages, first 12': ({ drawn }, person) => ({
    query: 'query ($id: ID!) { image(by: { id: $id }) { similarImages(first: 12) { id } } }',
    variables: { id: imageId(drawn, person) },
  }),
  'similarUsers, first 10': (tenant, person) =>
    ofUser('similarUsers(first: 10) { nodes { similarity user { id } } }', tenant, person),
  [`submitFeedback of ${ROWS}`]: ({ drawn: { people, images } }, person) => ({
    query: 'mutation ($items: [FeedbackItem!]!) { submitFeedback(input: { items: $items }) { userErrors { code } } }',
    variables: {
      items: Array.from({ length: ROWS }, (_, row) => ({
        user: { id: toGlobalId('User', people[(50 * person + (row % 50)) % people.length]!.id) },
        image: { id: toGlobalId('Image', images[(person * 31 + Math.floor(row / 50)) % images.length]!.id) },
        sentiment: row % 3 ? 'LIKE' : 'DISLIKE',
      })),
    },
  }),
};
const [RANK] = Object.keys(REQUESTS) as [string];

interface Point {
  readonly count: number;
  /** Milliseconds of one, by request. */
  readonly ms: Readonly<Record<string, number>>;
  readonly candidatesASecond: number;
}

const environment = environmentOf(values.env);
const { service, dataDirectory, operatorKey, stop } = await startEmptyService(environment);
const client = startLoadClient();
try {
  const tenants = await makeTenants();
  const figures: Record<string, Point[]> = {};
  for (const dimension of DIMENSIONS) {
    const points: Point[] = [];
    for (const [i, count] of dimension.counts.entries()) {
      points.push(await measure(client, count, tenants.get(dimension)![i]!));
    }
    figures[dimension.name] = points;
    print(dimension, points);
    if (values.plots) await plot(values.plots, dimension, points);
  }
  const settings = {
    environment,
    seconds: SECONDS,
    dimensions: DIMENSIONS.map(({ name, counts }) => ({ name, counts })),
  };
  await writeReport(values.json, { bench: 'growth', settings, figures });
} finally {
  client.close();
  await stop();
}

/** Of each dimension and count the tenants that are asked: of a dimension of tenants the first so many. */
async function makeTenants(): Promise<Map<Dimension, ServedTenant[][]>> {
  const model = await PreferenceModel.load(SHIPPED_MODEL);
  const made = new Map<Dimension, ServedTenant[][]>();
  const drawn = new Map<string, DrawnTenant>();
  const make = async (name: string, sizes: DrawnSizes): Promise<ServedTenant> => {
    const tenant = await makeTenant(service.url, dataDirectory, name, operatorKey);
    await raisePoints(service.url, operatorKey, tenant.id);
    const own = withProfiles(model, await drawTenant(model, sizes));
    drawn.set(idOf('Tenant', tenant.id)!, own);
    return { ...tenant, drawn: own };
  };
  for (const dimension of DIMENSIONS) {
    const { name, counts, tenants, sizes } = dimension;
    const known: ServedTenant[] = [];
    const ofCounts: ServedTenant[][] = [];
    for (const count of counts) {
      const wanted = tenants(count);
      const kept = wanted > 1 ? known : []; // a tenant of another size is another tenant
      while (kept.length < wanted) kept.push(await make(`${count} ${name}, ${kept.length}`, sizes(count)));
      ofCounts.push([...kept]);
    }
    made.set(dimension, ofCounts);
  }
  await model.close();
  await inDatabase(dataDirectory, (url) => writeTenants(url, drawn));
  return made;
}

async function measure(by: LoadClient, count: number, tenants: readonly ServedTenant[]): Promise<Point> {
  const ms: Record<string, number> = {};
  let candidatesASecond = 0;
  for (const [name, request] of Object.entries(REQUESTS)) {
    const plan = planOf(tenants, request);
    if (name === RANK) {
      await run(by, { ...plan, connections: CONNECTIONS, seconds: WARM_UP_SECONDS });
      const { ms: times, seconds } = await run(by, { ...plan, connections: CONNECTIONS, seconds: SECONDS });
      candidatesASecond = (CANDIDATES * times.length) / seconds;
    }
    // Of every tenant once at least: memory takes in what it keeps of each.
    for (let asked = 0; asked < plan.bodies.length; ) {
      asked += (await run(by, { ...plan, connections: CONNECTIONS, seconds: WARM_UP_SECONDS })).ms.length;
    }
    ms[name] = median((await run(by, { ...plan, connections: 1, seconds: SECONDS })).ms);
  }
  return { count, ms, candidatesASecond };
}

/** Each request is of the next tenant, and each tenant's of its next person. */
function planOf(tenants: readonly ServedTenant[], request: Request): Omit<LoadPlan, 'connections' | 'seconds'> {
  const asked = Array.from({ length: Math.max(PEOPLE_ASKED, tenants.length) }, (_, i) => {
    const tenant = tenants[i % tenants.length]!;
    return { key: tenant.serviceKey, body: JSON.stringify(request(tenant, Math.floor(i / tenants.length))) };
  });
  return { url: service.url, key: asked.map(({ key }) => key), bodies: asked.map(({ body }) => body) };
}

async function run(by: LoadClient, plan: LoadPlan) {
  const times = await by.run(plan);
  const [failure] = Object.keys(times.failures);
  if (failure !== undefined) throw new Error(failure);
  return times;
}

function print({ name }: Dimension, points: readonly Point[]): void {
  const columns = (of: (point: Point) => number) =>
    Object.fromEntries(points.map((point) => [point.count.toLocaleString('en'), figure(of(point))]));
  console.log(`milliseconds of one request, by ${name}:`);
  console.table({
    ...Object.fromEntries(Object.keys(REQUESTS).map((request) => [request, columns(({ ms }) => ms[request]!)])),
    [`candidates a second, ${CONNECTIONS} connections`]: columns(({ candidatesASecond }) => candidatesASecond),
  });
}

/** Both axes by factors of ten: what grows as fast as what there is of it rises with one slope. */
async function plot(folder: string, { name, counts }: Dimension, points: readonly Point[]): Promise<void> {
  const all = points.flatMap(({ ms }) => Object.values(ms));
  const axis = (label: string, from: number, to: number): Axis => ({
    label,
    from,
    to,
    ticks: Array.from({ length: to - from + 1 }, (_, i) => ({
      at: from + i,
      label: (10 ** (from + i)).toLocaleString('en'),
    })),
  });
  const y = axis('ms', Math.floor(Math.log10(Math.min(...all))), Math.ceil(Math.log10(Math.max(...all))));
  const svg = linePlot({
    title: `One request, by ${name}`,
    x: axis(name, Math.log10(counts[0]!), Math.log10(counts.at(-1)!)),
    y,
    series: Object.keys(REQUESTS).map((request) => ({
      name: request,
      points: points.map(({ count, ms }) => ({ x: Math.log10(count), y: Math.log10(ms[request]!) })),
    })),
  });
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `growth-${name.split(' ')[0]}.svg`), svg);
}
