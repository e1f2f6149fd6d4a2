/** Sends one hostile request and tells what came of it; a connection that the service closes is an answer too. */
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import type { FuzzRequest, HttpRequest, SocketRequest } from './target.ts';

/** No request may keep a client waiting longer. */
const ANSWER_MS = 30_000;
/** How long bytes on a socket are waited for an answer; a half request has none. */
const SOCKET_MS = 300;
/** How long such a socket is left open after that, beside what goes on. */
const LINGER_MS = 5_000;
/** Of an answer, so much is kept. */
const KEPT_BYTES = 200_000;

/** A status, `closed` without one, `open` where nothing was said, `late` where an answer never came. */
export type Outcome = number | 'closed' | 'open' | 'late';

export interface Answer {
  readonly outcome: Outcome;
  readonly body: string;
  readonly requestId: string | null;
}

/** A client with one kept-alive connection. */
export class FuzzClient {
  readonly #port: number;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });

  constructor(url: string) {
    this.#port = Number(new URL(url).port);
  }

  send(request: FuzzRequest): Promise<Answer> {
    return request.via === 'http' ? this.#overHttp(request) : this.#overSocket(request);
  }

  close(): void {
    this.#agent.destroy();
  }

  #overHttp({ method, path, headers, body }: HttpRequest): Promise<Answer> {
    return new Promise((resolve) => {
      const gone = (outcome: Outcome) => () => resolve({ outcome, body: '', requestId: null });
      const length = body === null ? {} : { 'content-length': String(Buffer.byteLength(body)) };
      const sent = httpRequest({
        ...{ host: '127.0.0.1', port: this.#port, agent: this.#agent, method, path },
        ...{ headers: { ...length, ...headers }, maxHeaderSize: 1_000_000 },
      });
      const timer = setTimeout(() => {
        gone('late')();
        sent.destroy();
      }, ANSWER_MS);
      sent.once('close', () => clearTimeout(timer));
      sent.on('error', gone('closed'));
      sent.on('upgrade', (_, socket) => socket.destroy());
      sent.on('response', (response) => {
        void read(response).then((text) =>
          resolve({
            outcome: response.statusCode ?? 'closed',
            body: text,
            requestId: String(response.headers['x-request-id'] ?? '') || null,
          }),
        );
      });
      sent.end(body ?? undefined);
    });
  }

  #overSocket({ bytes, end }: SocketRequest): Promise<Answer> {
    return new Promise((resolve) => {
      const socket = connect({ host: '127.0.0.1', port: this.#port, allowHalfOpen: true });
      let said = '';
      const answer = (silent: Outcome) => () => {
        const status = /^HTTP\/1\.\d (\d{3})/.exec(said)?.[1];
        resolve({ outcome: status ? Number(status) : silent, body: said, requestId: null });
      };
      const patience = setTimeout(answer('open'), SOCKET_MS);
      const linger = setTimeout(() => socket.destroy(), LINGER_MS);
      linger.unref();
      socket.on('data', (chunk) => {
        said = (said + chunk.toString('latin1')).slice(0, KEPT_BYTES);
      });
      socket.on('error', answer('closed'));
      socket.on('end', answer('closed'));
      socket.on('close', () => {
        answer('closed')();
        clearTimeout(patience);
        clearTimeout(linger);
      });
      socket.on('connect', () => (end ? socket.end(bytes) : socket.write(bytes)));
    });
  }
}

/** What comes before the end, or before the connection is lost. */
async function read(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      if (bytes < KEPT_BYTES) chunks.push(chunk);
      bytes += chunk.length;
    }
  } catch {
    // What was sent of it is what is judged.
  }
  return Buffer.concat(chunks).toString();
}
