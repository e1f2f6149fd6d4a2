/**
 * Requests in flight: how many are being answered, of all and of each tenant, and the refusal of more. What is refused
 * has cost nothing: neither its key nor its body was read. It knows nothing of what a request asks for.
 */
import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { PalateError } from '../errors.ts';

declare module 'fastify' {
  interface FastifyInstance {
    /** The requests that this server answers. */
    inFlight: InFlight;
  }
  interface FastifyRequest {
    /** The place that the request takes; null on routes that are not counted. */
    place: Place | null;
  }
  interface FastifyContextConfig {
    /** True for a route that is answered however many requests there are. */
    uncounted?: boolean;
  }
}

/** The count. Every place that is taken is given back, whatever becomes of its request. */
export class InFlight {
  readonly #most: number;
  readonly #byTenant = new Map<string, number>();
  #count = 0;
  #stopping = false;
  #whenIdle: (() => void)[] = [];

  /** @param most requests at once; one tenant may hold half of them. */
  constructor(most: number) {
    this.#most = most;
  }

  get count(): number {
    return this.#count;
  }

  get stopping(): boolean {
    return this.#stopping;
  }

  /** Takes a place. Throws OVERLOADED where all are taken, NOT_READY once the service stops. */
  take(): Place {
    if (this.#stopping) {
      throw new PalateError('NOT_READY', 'The service is stopping and takes no more requests: send this again.');
    }
    const full = this.#full();
    if (full) throw new PalateError('OVERLOADED', full);
    this.#count++;
    return new Place(
      (tenantId) => this.#share(tenantId),
      (tenantId) => this.#giveBack(tenantId),
    );
  }

  /** Why a request of the tenant would be OVERLOADED now; null where there is room. Nothing is taken. */
  refusal(tenantId: string): string | null {
    if (this.#stopping) return null; // that is for take to say
    return this.#full() ?? this.#shareTaken(tenantId);
  }

  /** From now on every request is refused; those that have a place keep it. */
  stop(): void {
    this.#stopping = true;
  }

  /** Resolves when no place is taken. */
  idle(): Promise<void> {
    if (this.#count === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  #full(): string | null {
    if (this.#count < this.#most) return null;
    return `The service is answering ${this.#count} requests, the most it takes at once: send this again in a second.`;
  }

  #shareTaken(tenantId: string): string | null {
    const most = Math.max(1, Math.floor(this.#most / 2));
    const held = this.#byTenant.get(tenantId) ?? 0;
    if (held < most) return null;
    return `This tenant has ${held} requests in flight, half of what the service takes at once: send this again in a second.`;
  }

  #share(tenantId: string): void {
    const taken = this.#shareTaken(tenantId);
    if (taken) throw new PalateError('OVERLOADED', taken);
    this.#byTenant.set(tenantId, (this.#byTenant.get(tenantId) ?? 0) + 1);
  }

  #giveBack(tenantId: string | null): void {
    this.#count--;
    if (tenantId !== null) {
      const held = this.#byTenant.get(tenantId)! - 1;
      if (held > 0) this.#byTenant.set(tenantId, held);
      else this.#byTenant.delete(tenantId);
    }
    if (this.#count === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
  }
}

/**
 * The place of one request. It is held while the answer is on its way, and while its work goes on even if the client is
 * gone or was told that it took too long: work is what is bounded here.
 */
export class Place {
  readonly #share: (tenantId: string) => void;
  readonly #giveBack: (tenantId: string | null) => void;
  #tenantId: string | null = null;
  #answering = true;
  #working = 0;

  constructor(share: (tenantId: string) => void, giveBack: (tenantId: string | null) => void) {
    this.#share = share;
    this.#giveBack = giveBack;
  }

  /** Counts the place as the tenant's, once it is known. Throws OVERLOADED where the tenant holds its half already. */
  claim(tenantId: string): void {
    if (this.#tenantId !== null || !this.#answering) return;
    this.#share(tenantId);
    this.#tenantId = tenantId;
  }

  /** Holds the place until the work has ended, well or badly. */
  async during<T>(work: () => T | Promise<T>): Promise<T> {
    this.#working++;
    try {
      return await work();
    } finally {
      this.#working--;
      this.#leave();
    }
  }

  /** The answer has been taken, or nobody waits for it any more. */
  answered(): void {
    if (!this.#answering) return;
    this.#answering = false;
    this.#leave();
  }

  #leave(): void {
    if (!this.#answering && this.#working === 0) this.#giveBack(this.#tenantId);
  }
}

/** Counts the requests of every route that is added from here on, but for those whose config says `uncounted`. */
export function countRequests(server: FastifyInstance, inFlight: InFlight): void {
  server.decorate('inFlight', inFlight);
  server.decorateRequest('place', null);
  server.addHook('onRequest', async (request, reply) => {
    if (request.routeOptions.config.uncounted) return;
    const place = inFlight.take();
    request.place = place;
    const places = placesOf(request.raw.socket);
    places.add(place);
    reply.raw.once('close', () => {
      places.delete(place);
      place.answered();
    });
  });
  server.addHook('onRoute', (route) => {
    const { handler } = route;
    route.handler = function (request, reply) {
      const work = () => handler.call(this, request, reply);
      return request.place ? request.place.during(work) : work();
    };
  });
}

/** Guards a scope whose requests have a credential by now: one tenant that floods leaves room for the others. */
export function shareRequests(routes: FastifyInstance): void {
  routes.addHook('onRequest', async (request: FastifyRequest) => {
    if (request.credential) request.place?.claim(request.credential.tenant.id);
  });
}

const placesBySocket = new WeakMap<Socket, Set<Place>>();

/** The places of a connection. A request that was sent ahead of others' answers is told of no close but this one's. */
function placesOf(socket: Socket): Set<Place> {
  const known = placesBySocket.get(socket);
  if (known) return known;
  const places = new Set<Place>();
  placesBySocket.set(socket, places);
  socket.once('close', () => {
    for (const place of places) place.answered();
    places.clear();
  });
  return places;
}
