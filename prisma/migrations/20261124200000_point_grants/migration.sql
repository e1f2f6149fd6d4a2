-- What the last lease of points was granted: the statement that leases them returns it, and cannot see what was before.
ALTER TABLE "point_leases" ADD COLUMN "granted" INTEGER NOT NULL DEFAULT 0;
ALTER TABLE "point_leases" ALTER COLUMN "granted" DROP DEFAULT;
