-- In which transaction a row was written last, so that what is kept in memory reads what changed and nothing else.

-- AlterTable
ALTER TABLE "users" ADD COLUMN "changed_in" BIGINT NOT NULL DEFAULT 0;
ALTER TABLE "images" ADD COLUMN "changed_in" BIGINT NOT NULL DEFAULT 0;
ALTER TABLE "profiles" ADD COLUMN "changed_in" BIGINT NOT NULL DEFAULT 0;
-- CreateIndex
CREATE INDEX "users_tenant_id_changed_in_id_idx" ON "users"("tenant_id", "changed_in", "id");
-- CreateIndex
CREATE INDEX "images_tenant_id_changed_in_id_idx" ON "images"("tenant_id", "changed_in", "id");
-- CreateIndex
CREATE INDEX "profiles_tenant_id_model_id_changed_in_user_id_idx" ON "profiles"("tenant_id", "model_id", "changed_in", "user_id");

-- Whoever writes, and however.
CREATE FUNCTION stamp_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    NEW.changed_in := pg_current_xact_id()::text::bigint;
    RETURN NEW;
END
$$;
CREATE TRIGGER stamp_change BEFORE INSERT OR UPDATE ON "users" FOR EACH ROW EXECUTE FUNCTION stamp_change();
CREATE TRIGGER stamp_change BEFORE INSERT OR UPDATE ON "images" FOR EACH ROW EXECUTE FUNCTION stamp_change();
CREATE TRIGGER stamp_change BEFORE INSERT OR UPDATE ON "profiles" FOR EACH ROW EXECUTE FUNCTION stamp_change();
