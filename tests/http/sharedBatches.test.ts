/** Requests of many connections that meet in the model's batches, and one whose client does not wait. */
import { Agent, type ClientRequest, request } from 'node:http';
import { type TestService, type TestTenant, testService } from './service.ts';

const CONNECTIONS = 64;
const ROUNDS = 20;
const SCORE =
  'query ($user: ID!, $images: [ID!]!) { user(by: { id: $user }) { rank(imageIds: $images) { scores { value } } } }';

let service: TestService;
let tenant: TestTenant;
let user: string;
let images: string[];
const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });

beforeAll(async () => {
  service = await testService({}, { PALATE_BATCH_WAIT_MS: '10' });
  tenant = await service.tenant();
  [user] = (await tenant.people('ada')) as [string];
  images = [await tenant.upload('#a03020'), await tenant.upload('#2040c0')];
  await tenant.encode();
  await tenant.judge(user, 'LIKE', images[0]!);
});
afterAll(async () => {
  agent.destroy();
  await service.close();
});

/** One request on a connection of its own, kept for the next; its answer's text. */
function ask(asked: (sent: ClientRequest) => void = () => {}): Promise<string> {
  const body = JSON.stringify({ query: SCORE, variables: { user, images: [images[1]] } });
  const headers = { authorization: `Bearer ${tenant.serviceKey}`, 'content-type': 'application/json' };
  return new Promise((resolve, reject) => {
    const sent = request(`${service.url}/graphql`, { agent, method: 'POST', headers }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on('end', () => resolve(text));
    });
    sent.on('error', reject);
    sent.end(body);
    asked(sent);
  });
}

it('runs single scores of 64 connections in a few calls of the model', async () => {
  const calls: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const before = service.scoreCalls();
    const answers = await Promise.all(Array.from({ length: CONNECTIONS }, () => ask()));
    for (const answer of answers) expect(answer).toMatch(/"value":0\.\d+/);
    if (round > 0) calls.push(service.scoreCalls() - before); // the first opens the connections
  }
  expect(calls.toSorted((a, b) => a - b)[ROUNDS >> 1]).toBeLessThanOrEqual(4);
});
