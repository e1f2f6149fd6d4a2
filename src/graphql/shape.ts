/**
 * The shape of an operation: how deep it nests, how many aliases it has and how many selections, each fragment counted
 * as often as it is spread. Each fragment is measured once, so that the measuring is cheap however often it is spread.
 * It knows neither the schema nor what anything costs; limits.ts does.
 */
import {
  type DocumentNode,
  type FragmentDefinitionNode,
  GraphQLError,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql';

export interface ShapeLimits {
  /** Fields within fields. */
  readonly maxDepth: number;
  /** Fields that are given another name. */
  readonly maxAliases: number;
}

export interface Shape {
  readonly depth: number;
  readonly aliases: number;
  readonly selections: number;
}

/**
 * Fields and fragments of an operation with its fragments written out. 2,000 tokens cannot say as many; fragments of
 * fragments can, and what follows (cost, execution) walks them all.
 */
export const MAX_SELECTIONS = 10_000;

/** Measures an operation of a validated document: no fragment of it is missing or spreads itself. */
export function shapeOf(document: DocumentNode, operation: OperationDefinitionNode): Shape {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  }
  const measured = new Map<string, Shape>();

  const ofFragment = (name: string): Shape => {
    const known = measured.get(name);
    if (known) return known;
    const shape = ofSelections(fragments.get(name)?.selectionSet);
    measured.set(name, shape);
    return shape;
  };
  const ofSelections = (selectionSet: SelectionSetNode | undefined): Shape => {
    let [depth, aliases, selections] = [0, 0, 0];
    for (const selection of selectionSet?.selections ?? []) {
      const within =
        selection.kind === Kind.FRAGMENT_SPREAD
          ? ofFragment(selection.name.value)
          : ofSelections(selection.selectionSet);
      const isField = selection.kind === Kind.FIELD;
      depth = Math.max(depth, within.depth + (isField ? 1 : 0));
      aliases += within.aliases + (isField && selection.alias ? 1 : 0);
      selections += within.selections + 1;
    }
    return { depth, aliases, selections };
  };
  return ofSelections(operation.selectionSet);
}

/** Throws QUERY_TOO_COSTLY, with the figure and the limit, for a shape that is beyond one. */
export function checkShape({ depth, aliases, selections }: Shape, { maxDepth, maxAliases }: ShapeLimits): void {
  if (depth > maxDepth) {
    throw tooLarge(
      { depth, maxDepth },
      `nests ${depth} fields deep and at most ${maxDepth} are allowed: ask for less at once.`,
    );
  }
  if (aliases > maxAliases) {
    throw tooLarge(
      { aliases, maxAliases },
      `has ${aliases} aliases and at most ${maxAliases} are allowed: use fields that take lists, such as nodes and rank.`,
    );
  }
  if (selections > MAX_SELECTIONS) {
    throw tooLarge(
      { selections, maxSelections: MAX_SELECTIONS },
      `has ${selections} fields and fragments, each fragment counted as often as it is spread, and at most ${MAX_SELECTIONS} are allowed.`,
    );
  }
}

function tooLarge(figures: Readonly<Record<string, number>>, words: string): GraphQLError {
  const extensions = { code: 'QUERY_TOO_COSTLY', ...figures, http: { status: 400 } };
  return new GraphQLError(`This operation ${words}`, { extensions });
}
