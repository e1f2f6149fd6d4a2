/** API keys and the audit log: what a tenant's ADMIN sees of its credentials and of what was done with them. */
import { createApiKey, pageApiKeys, revokeApiKey } from '../../domain/apiKeys.ts';
import { pageAuditEvents } from '../../domain/auditLog.ts';
import { toGlobalId } from '../../domain/ids.ts';
import { orUserErrors } from '../../domain/userErrors.ts';
import { PalateError } from '../../errors.ts';
import type { Resolvers } from '../generated/resolvers.ts';

export const apiKeyResolvers: Pick<Resolvers, 'Query' | 'Mutation' | 'ApiKey' | 'AuditEvent'> = {
  Query: {
    apiKeys: (_, page, { platform }) => pageApiKeys(platform.database, page),
    auditLog: (_, args, { platform }) => pageAuditEvents(platform.database, args),
  },
  Mutation: {
    createApiKey: (_, { input }, { platform, caller }) =>
      orUserErrors({ apiKey: null, secret: null }, () => createApiKey(platform, caller, input)),
    revokeApiKey: (_, { input }, { platform, caller }) =>
      orUserErrors({ apiKey: null }, async () => ({ apiKey: await revokeApiKey(platform, caller, input.id) })),
  },
  ApiKey: {
    id: ({ id }) => toGlobalId('ApiKey', id),
    role: ({ id, role }) => {
      if (role !== 'OPERATOR') return role;
      throw new PalateError('INTERNAL_SERVER_ERROR', `The key ${id} is an operator's; no tenant has it.`);
    },
  },
  AuditEvent: {
    id: ({ id }) => toGlobalId('AuditEvent', id),
  },
};
