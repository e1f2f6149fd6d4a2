/** The settings, as the HTTP server takes them. */
import type { Logger } from 'pino';
import type { Config } from '../../config.ts';
import type { ServerOptions } from '../../http/server.ts';
import { DEFAULT_SUBSCRIPTIONS } from '../../http/subscriptions.ts';
import { DEFAULT_TIMEOUTS } from '../../http/timeouts.ts';

/** Room for a few of the largest pictures: with less, uploads are about to fail. */
const MIN_FREE_DISK_BYTES = 200_000_000;

export function serverOptions(config: Config, log: Logger): ServerOptions {
  const { maxQueryCost, maxQueryTokens, maxQueryDepth, maxQueryAliases } = config;
  const { trustedDocuments, onlyTrustedDocuments, maxRequestsInFlight } = config;
  const production = config.environment === 'production';
  return {
    limits: { maxQueryCost, maxQueryTokens, maxQueryDepth, maxQueryAliases },
    api: {
      introspection: config.introspection ?? !production,
      hideSchema: production,
      trustedDocuments,
      onlyTrustedDocuments,
    },
    timeouts: {
      ...DEFAULT_TIMEOUTS,
      requestMs: config.receiveSeconds * 1000,
      workMs: config.requestSeconds * 1000,
    },
    maxRequestsInFlight,
    subscriptions: { ...DEFAULT_SUBSCRIPTIONS, most: config.maxSubscriptions },
    corsOrigins: config.corsOrigins ?? [],
    https: config.publicUrl?.startsWith('https:') ?? false,
    minFreeDiskBytes: MIN_FREE_DISK_BYTES,
    log,
  };
}
