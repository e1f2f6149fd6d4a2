/**
 * Plugins that are asked about an operation one after the other. Apollo asks all of them at once and lets the rest go on
 * where one refuses: what is refused would be charged. It knows no rule itself.
 */
import type { ApolloServerPlugin, GraphQLRequestListener } from '@apollo/server';
import type { Context } from './context.ts';

/** One plugin of several; their `didResolveOperation` runs in their order, and ends with the first that refuses. */
export function inTurn(...plugins: readonly ApolloServerPlugin<Context>[]): ApolloServerPlugin<Context> {
  return {
    async requestDidStart(requestContext) {
      const listeners: GraphQLRequestListener<Context>[] = [];
      for (const plugin of plugins) listeners.push((await plugin.requestDidStart?.(requestContext)) ?? {});
      return {
        async didResolveOperation(resolved) {
          for (const listener of listeners) await listener.didResolveOperation?.(resolved);
        },
        async willSendResponse(answered) {
          for (const listener of listeners) await listener.willSendResponse?.(answered);
        },
      };
    },
  };
}
