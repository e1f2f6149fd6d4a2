/**
 * Points a minute: what a tenant, and a credential of its own, may still spend of the running minute over all replicas.
 * A replica leases points in blocks, by one atomic statement, and spends them from memory. What costs how much is
 * src/graphql/limits.ts's.
 *
 * What a replica has leased and not spent when the minute ends is lost to all: its last block at most, a hundredth of the
 * limit where it is hardly used and a tenth where it is busy. That is all right: nobody gets more than the limit, a
 * minute is short, and to give points back would cost a statement to free what the next minute brings anyhow.
 */
import { LRUCache } from 'lru-cache';
import { type Database, withTenant } from '../database/client.ts';
import { PalateError } from '../errors.ts';
import type { Credential, TenantRules } from './credentials.ts';

/** Points of `POST /images`: a picture is checked, stored and encoded, which takes what some 50 fields do. */
export const UPLOAD_COST = 50;
/** Points of an export: as many as the costliest field. */
export const EXPORT_COST = 100;

/** Windows begin at whole minutes of the service's clock; replicas' clocks are kept together by NTP. */
const WINDOW_MS = 60_000;
/**
 * Blocks, as parts of the limit. The first of a window is small, so that many replicas that are hardly used do not lease
 * everything between them; each that follows is twice as large, up to the largest, so that a replica that spends all of
 * a limit asks 13 times.
 */
const FIRST_BLOCK = 1 / 100;
const LARGEST_BLOCK = 1 / 10;
/** Subjects whose leases are held, some 200 bytes each. One that is forgotten loses what it has leased and not spent. */
const MOST_SUBJECTS = 50_000;

/** What a budget has left. */
export interface Balance {
  /** Points a minute. */
  readonly limit: number;
  /** Points left until `resetsAt`, as this replica knows it: what others have leased since it last leased is in it. */
  readonly remaining: number;
  readonly resetsAt: Date;
}

/** An operation that cannot be paid: not now (RATE_LIMITED), or in no minute (QUERY_TOO_COSTLY). */
export class PointsError extends PalateError {
  readonly cost: number;
  /** Of the budget that cannot pay. */
  readonly balance: Balance;
  /** Whole seconds, at least 1, until the window ends. */
  readonly retryAfterSeconds: number;

  constructor(whose: string, cost: number, balance: Balance, now: Date) {
    const { limit, remaining } = balance;
    const seconds = secondsUntil(balance.resetsAt, now);
    const never = cost > limit;
    super(
      never ? 'QUERY_TOO_COSTLY' : 'RATE_LIMITED',
      never
        ? `This costs ${cost} points and ${whose} has ${limit} a minute: ask for smaller pages or fewer fields, or have the limit raised.`
        : `This costs ${cost} points and ${whose} has ${remaining} of its ${limit} a minute left: ask again in ${seconds} s.`,
    );
    this.cost = cost;
    this.balance = balance;
    this.retryAfterSeconds = seconds;
  }
}

/** Whole seconds until a window ends, at least 1. */
export function secondsUntil(resetsAt: Date, now: Date): number {
  return Math.max(1, Math.ceil((resetsAt.getTime() - now.getTime()) / 1000));
}

/** Who spends, as a request's credential says. */
export type Spender = Pick<Credential, 'id' | 'tenant' | 'pointsPerMinute'>;

/** One of the budgets that a request is paid from, at the limit that holds for it now. */
interface Budget {
  readonly whose: string;
  readonly tenantId: string;
  /** The tenant's id, or the credential's. */
  readonly subject: string;
  readonly limit: number;
}

/** What a replica knows of one subject. */
interface Account {
  /** Of the window that the rest is of: milliseconds since 1970. */
  windowStart: number;
  /** Leased here and not spent. */
  inHand: number;
  /** By all replicas, when one was last asked for. */
  leased: number;
  /** Leases of this replica in the window. */
  leases: number;
  /** The lease that is under way: whoever needs one waits for it. */
  pending: Promise<void> | null;
}

/** The budgets of all subjects, as one replica holds them. */
export class PointBudget {
  readonly #database: Database;
  readonly #now: () => Date;
  readonly #accounts: LRUCache<string, Account>;

  /** @param mostSubjects whose leases are held; one that was not asked for lately is forgotten. */
  constructor(
    { database, now }: { readonly database: Database; readonly now: () => Date },
    mostSubjects = MOST_SUBJECTS,
  ) {
    this.#accounts = new LRUCache({ max: mostSubjects });
    this.#database = database;
    this.#now = now;
  }

  /**
   * Spends `cost` points of the credential's own budget and of its tenant's, or of neither. Answers the tighter balance.
   * Throws a {@link PointsError}: RATE_LIMITED where one of the two has too few left, QUERY_TOO_COSTLY where a whole
   * minute of it has too few.
   */
  async spend(spender: Spender, cost: number): Promise<Balance> {
    const budgets = budgetsOf(spender);
    const accounts = budgets.map((budget) => this.#account(budget));
    for (;;) {
      // From here to the spending nothing is awaited: what both have in hand, nobody else takes.
      const short = accounts.findIndex((account, i) => this.#turn(account).inHand < cost || cost > budgets[i]!.limit);
      if (short === -1) break;
      const [budget, account] = [budgets[short]!, accounts[short]!];
      if (cost > budget.limit || account.leased >= budget.limit) {
        throw new PointsError(budget.whose, cost, balanceOf(budget, account), this.#now());
      }
      account.pending ??= this.#lease(budget, account, cost).finally(() => {
        account.pending = null;
      });
      await account.pending;
    }
    for (const account of accounts) account.inHand -= cost;
    return tighter(budgets.map((budget, i) => balanceOf(budget, accounts[i]!)));
  }

  /** The tighter of a credential's balances, as this replica knows them; asks no database. */
  balance(spender: Spender): Balance {
    return tighter(budgetsOf(spender).map((budget) => balanceOf(budget, this.#turn(this.#account(budget)))));
  }

  /** A tenant's own balance, with what all replicas have leased by now. In the tenant's session. */
  async tenantBalance(tenant: TenantRules): Promise<Balance> {
    const budget = tenantBudget(tenant);
    const row = await this.#database.pointLease.findFirst({ where: { subject: budget.subject } });
    const account = this.#turn(this.#account(budget));
    if (row && row.windowStart.getTime() === account.windowStart) {
      account.leased = Math.max(account.leased, row.leased); // a lease that ended meanwhile knows of more
    }
    return balanceOf(budget, account);
  }

  #account({ tenantId, subject }: Budget): Account {
    const key = `${tenantId} ${subject}`;
    const known = this.#accounts.get(key);
    if (known) return known;
    const account = { windowStart: 0, inHand: 0, leased: 0, leases: 0, pending: null };
    this.#accounts.set(key, account);
    return account;
  }

  /** Empties an account whose window is over. A later one than this clock's, which another replica began, stays. */
  #turn(account: Account): Account {
    const windowStart = windowOf(this.#now());
    if (account.windowStart < windowStart) Object.assign(account, { windowStart, inHand: 0, leased: 0, leases: 0 });
    return account;
  }

  /** Leases a block, or what `cost` lacks where that is more, or what is left where that is less. */
  async #lease({ tenantId, subject, limit }: Budget, account: Account, cost: number): Promise<void> {
    const block = limit * Math.min(LARGEST_BLOCK, FIRST_BLOCK * 2 ** account.leases);
    const wanted = Math.max(Math.ceil(block), cost - account.inHand);
    const windowStart = new Date(account.windowStart);
    // One row a subject, by its primary key. A window that is over makes room for the next; a replica whose clock is
    // behind counts in the window that it finds.
    const [row] = await withTenant(
      tenantId,
      () => this.#database.$queryRaw<{ windowStart: Date; leased: number; granted: number }[]>`
        INSERT INTO point_leases AS l (tenant_id, subject, window_start, leased, granted)
        VALUES (${tenantId}::uuid, ${subject}::uuid, ${windowStart}::timestamptz, ${wanted}::int, ${wanted}::int)
        ON CONFLICT (tenant_id, subject) DO UPDATE SET
          window_start = greatest(l.window_start, excluded.window_start),
          leased = CASE WHEN l.window_start < excluded.window_start THEN excluded.leased
            ELSE l.leased + greatest(0, least(excluded.leased, ${limit}::int - l.leased)) END,
          granted = CASE WHEN l.window_start < excluded.window_start THEN excluded.leased
            ELSE greatest(0, least(excluded.leased, ${limit}::int - l.leased)) END
        RETURNING window_start AS "windowStart", leased, granted`,
    );
    const { leased, granted } = row!;
    const found = row!.windowStart.getTime();
    if (found < account.windowStart) return; // the window turned while the database answered
    if (found > account.windowStart) Object.assign(account, { windowStart: found, inHand: 0, leases: 0 });
    account.leased = leased;
    account.leases++;
    account.inHand += granted;
  }
}

const windowOf = (now: Date) => Math.floor(now.getTime() / WINDOW_MS) * WINDOW_MS;

function tenantBudget({ id, pointsPerMinute }: TenantRules): Budget {
  return { whose: 'the tenant', tenantId: id, subject: id, limit: pointsPerMinute };
}

/** The credential's own, where it has one, before the tenant's: an exhausted key leases nothing of the tenant's. */
function budgetsOf({ id, tenant, pointsPerMinute }: Spender): Budget[] {
  const shared = tenantBudget(tenant);
  if (pointsPerMinute === null) return [shared];
  return [{ whose: 'this credential', tenantId: tenant.id, subject: id, limit: pointsPerMinute }, shared];
}

function balanceOf({ limit }: Budget, { windowStart, inHand, leased }: Account): Balance {
  const remaining = Math.min(limit, Math.max(0, limit - leased) + inHand);
  return { limit, remaining, resetsAt: new Date(windowStart + WINDOW_MS) };
}

function tighter(balances: readonly Balance[]): Balance {
  return balances.reduce((least, balance) => (balance.remaining < least.remaining ? balance : least));
}
