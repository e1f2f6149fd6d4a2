/** Images that are alike by the model's metric of pictures, whoever likes them. */
import type { ImageCatalogues, SimilarImagesRequest } from './imageCatalogue.ts';
import { activeModel, type ModelPlatform } from './models.ts';

/**
 * The images nearest to each of these, nearest first, the image itself left out. Pictures that have an owner are near to
 * that owner's pictures only. One that is not READY has none near.
 */
export async function similarImages(
  platform: ModelPlatform & { readonly catalogues: ImageCatalogues },
  requests: readonly SimilarImagesRequest[],
): Promise<string[][]> {
  const { database, catalogues } = platform;
  const catalogue = await catalogues.holding(database, await activeModel(platform));
  for (;;) {
    const nearest = await Promise.all(requests.map((request) => catalogue.nearest(request)));
    if (await catalogue.confirm(database, [...new Set(nearest.flat())])) return nearest;
  }
}
