/** Images: their own fields, signed addresses and neighbours; updateImages, deleteImages. */
import { toGlobalId } from '../../domain/ids.ts';
import { deleteImages } from '../../domain/imageDeletion.ts';
import { countImages, pageImages, resolveImages } from '../../domain/images.ts';
import { updateImages } from '../../domain/imageUpdates.ts';
import { checkFirst } from '../../domain/pages.ts';
import { parsePictureSize } from '../../domain/pictureLinks.ts';
import type { Resolvers } from '../generated/resolvers.ts';

export const imageResolvers: Pick<Resolvers, 'Query' | 'Mutation' | 'Image' | 'ImageConnection'> = {
  Query: {
    image: async (_, { by }, { platform }) => (await resolveImages(platform.database, [by]))[0] ?? null,
    images: async (_, { first, after, ...filter }, { platform }) => ({
      ...(await pageImages(platform.database, filter, { first, after })),
      totalCount: () => countImages(platform.database, filter),
    }),
  },
  Mutation: {
    updateImages: (_, { input }, { platform }) => updateImages(platform, input.items),
    deleteImages: (_, { input }, { platform }) => deleteImages(platform, input.ids),
  },
  ImageConnection: {
    totalCount: (page) => page.totalCount(),
  },
  Image: {
    id: ({ id }) => toGlobalId('Image', id),
    url: ({ tenantId, id }, { maxSize }, { platform }) =>
      platform.links.sign({ tenantId, imageId: id, size: parsePictureSize(maxSize) }, platform.now()),
    owner: ({ ownerId }, _, { loaders }) => (ownerId === null ? null : loaders.users.load(ownerId)),
    async similarImages({ id: imageId, ownerId }, { first }, { loaders }) {
      checkFirst(first);
      const ids = await loaders.similarImages.load({ imageId, ownerId, first });
      return (await Promise.all(ids.map((id) => loaders.images.load(id)))).filter((image) => image !== null);
    },
  },
};
