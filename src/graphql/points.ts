/**
 * Charges an operation what limits.ts has reckoned, before any of it runs, and tells in `extensions.cost` what is left.
 * Budgets are src/domain/points.ts's.
 */
import { type ApolloServerPlugin, HeaderMap } from '@apollo/server';
import { GraphQLError } from 'graphql';
import { type Balance, PointsError } from '../domain/points.ts';
import type { Context } from './context.ts';
import { costOf } from './limits.ts';

/** What a response says of its operation's cost. */
interface Bill extends Balance {
  readonly points: number;
}

/** Goes after every plugin that may refuse an operation (inTurn.ts): what is refused costs nothing. */
export const chargePoints: ApolloServerPlugin<Context> = {
  async requestDidStart() {
    let bill: Bill | null = null;
    return {
      async didResolveOperation({ contextValue }) {
        const { platform, caller } = contextValue;
        const points = costOf(contextValue);
        try {
          bill = { points, ...(await platform.points.spend(caller.credential, points)) };
        } catch (error) {
          throw error instanceof PointsError ? toGraphqlError(error) : error;
        }
      },
      async willSendResponse({ response: { body } }) {
        if (!bill || body.kind !== 'single') return;
        body.singleResult.extensions = { ...body.singleResult.extensions, cost: bill };
      },
    };
  },
};

function toGraphqlError({ message, code, cost, balance, retryAfterSeconds }: PointsError): GraphQLError {
  if (code !== 'RATE_LIMITED') {
    return new GraphQLError(message, { extensions: { code, cost, maxCost: balance.limit, http: { status: 400 } } });
  }
  const headers = new HeaderMap([['retry-after', String(retryAfterSeconds)]]);
  return new GraphQLError(message, { extensions: { code, cost, ...balance, http: { status: 429, headers } } });
}
