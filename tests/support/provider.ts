/** An identity provider on loopback: real https, real keys, and whatever behaviour a test gives it. */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose';
import { TEST_TLS } from './tokens.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A key that the provider signs with. */
export interface ProviderKey {
  readonly algorithm: string;
  readonly keyId: string | undefined;
  /** As it stands in the key set. */
  readonly publicKey: JWK;
  sign(claims: JWTPayload): Promise<string>;
}

export interface Provider {
  /** https://127.0.0.1:<port>/keys */
  readonly url: string;
  readonly port: number;
  /** The addresses' paths that were asked for so far. */
  readonly asked: string[];
  /** What it answers with: the key set of `keys`, unless a test says otherwise. */
  answer: Answer;
  keys: ProviderKey[];
  /** Once more does nothing. */
  close(): Promise<void>;
}

export async function newKey(algorithm: string, keyId?: string): Promise<ProviderKey> {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
  const named = keyId === undefined ? {} : { kid: keyId };
  return {
    algorithm,
    keyId,
    publicKey: { ...(await exportJWK(publicKey)), ...named, alg: algorithm, use: 'sig' },
    sign: (claims) => new SignJWT(claims).setProtectedHeader({ alg: algorithm, ...named }).sign(privateKey),
  };
}

export async function startProvider(...keys: ProviderKey[]): Promise<Provider> {
  const server = createServer(TEST_TLS, (request, response) => {
    self.asked.push(request.url ?? '');
    self.answer(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const self: Provider = {
    url: `https://127.0.0.1:${port}/keys`,
    port,
    asked: [],
    answer: (_, response) => response.end(JSON.stringify({ keys: self.keys.map(({ publicKey }) => publicKey) })),
    keys,
    async close() {
      if (!server.listening) return;
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return self;
}
