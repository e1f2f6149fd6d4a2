/** Tenants of a running service, made as its operator makes them, with people, drawn pictures and some judgements. */
import { execFile } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { gallery } from '../../src/gallery/gallery.ts';
import { people as galleryPeople, judge } from '../../src/gallery/people.ts';
import { renderPicture } from '../../src/gallery/picture.ts';
import { PROGRAM } from './service.ts';

const LOOK_MS = 300;
/** The largest that the API takes. */
const MOST_POINTS = 2_147_483_647;

export interface Tenant {
  readonly url: string;
  /** As the API has it. */
  readonly id: string;
  readonly adminKey: string;
  readonly serviceKey: string;
}

export interface FilledTenant extends Tenant {
  readonly externalIds: readonly string[];
  readonly userIds: readonly string[];
  readonly imageIds: readonly string[];
  /** The bytes of one of its pictures. */
  readonly picture: Buffer;
}

/** One more tenant of the service whose files lie in `dataDirectory`. @param known a key of its operator, if there is one */
export async function makeTenant(url: string, dataDirectory: string, name: string, known?: string): Promise<Tenant> {
  const operatorKey = known ?? (await makeOperatorKey(dataDirectory, `for ${name}`));
  const made = await ask<{ createTenant: { tenant: { id: string }; adminSecret: string } }>(
    ...([
      url,
      operatorKey,
      'mutation ($v: CreateTenantInput!) { createTenant(input: $v) { tenant { id } adminSecret } }',
    ] as const),
    { v: { name } },
  );
  const { tenant, adminSecret: adminKey } = made.createTenant;
  const { createApiKey } = await ask<{ createApiKey: { secret: string } }>(
    ...([url, adminKey, 'mutation ($v: CreateApiKeyInput!) { createApiKey(input: $v) { secret } }'] as const),
    { v: { name: 'service', role: 'SERVICE' } },
  );
  return { url, id: tenant.id, adminKey, serviceKey: createApiKey.secret };
}

/** A key of the operator of the installation whose files lie in `dataDirectory`. */
export async function makeOperatorKey(dataDirectory: string, name: string): Promise<string> {
  const args = [...PROGRAM, 'keys', 'create', '--operator', '--name', name];
  const env = { ...process.env, PALATE_DATA_DIR: dataDirectory };
  return (await promisify(execFile)(process.execPath, args, { env })).stdout.trim();
}

/** Gives a tenant so many points a minute that nothing is refused for want of them. @param id as the API has it */
export async function raisePoints(url: string, operatorKey: string, id: string): Promise<void> {
  const document = 'mutation ($v: UpdateTenantInput!) { updateTenant(input: $v) { userErrors { code } } }';
  await ask(url, operatorKey, document, { v: { id, pointsPerMinute: MOST_POINTS } });
}

/** Gives a tenant people, pictures that can be scored, and what the people make of half of them. */
export async function fillTenant(tenant: Tenant, personCount: number, pictureCount: number): Promise<FilledTenant> {
  const { url, serviceKey } = tenant;
  const people = galleryPeople().slice(0, personCount);
  const externalIds = people.map(({ externalId }) => externalId);
  const { upsertUsers } = await ask<{ upsertUsers: { users: { id: string }[] } }>(
    ...([url, serviceKey, 'mutation ($v: UpsertUsersInput!) { upsertUsers(input: $v) { users { id } } }'] as const),
    { v: { items: externalIds.map((externalId) => ({ externalId })) } },
  );
  const drawn = gallery(pictureCount);
  const imageIds: string[] = [];
  let picture: Buffer = Buffer.alloc(0);
  for (const one of drawn) {
    picture = await renderPicture(one);
    const headers = { authorization: `Bearer ${serviceKey}`, 'content-type': 'application/octet-stream' };
    const response = await fetch(`${url}/images`, { method: 'POST', headers, body: picture });
    if (!response.ok) throw new Error(`${one.name}: ${response.status} ${await response.text()}`);
    imageIds.push(((await response.json()) as { id: string }).id);
  }
  const idOf = new Map(drawn.map((one, i) => [one, imageIds[i]!]));
  const items = people.flatMap((person) =>
    judge(person, drawn.slice(drawn.length >> 1)).map(({ picture: one, sentiment }) => ({
      user: { externalId: person.externalId },
      image: { id: idOf.get(one)! },
      sentiment,
    })),
  );
  await ask(
    url,
    serviceKey,
    'mutation ($v: SubmitFeedbackInput!) { submitFeedback(input: $v) { userErrors { code } } }',
    {
      v: { items },
    },
  );
  for (;;) {
    const { images } = await ask<{ images: { totalCount: number } }>(
      ...([url, serviceKey, '{ images(status: PENDING) { totalCount } }'] as const),
    );
    if (images.totalCount === 0) break;
    await delay(LOOK_MS);
  }
  return { ...tenant, externalIds, userIds: upsertUsers.users.map(({ id }) => id), imageIds, picture };
}

/** One operation; throws where there are errors, or userErrors. */
export async function ask<T>(url: string, key: string, query: string, variables: object = {}): Promise<T> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  });
  const text = await response.text();
  if (!response.ok || /"errors":|"userErrors":\[\{/.test(text))
    throw new Error(`${response.status}: ${text.slice(0, 300)}`);
  return (JSON.parse(text) as { data: T }).data;
}
