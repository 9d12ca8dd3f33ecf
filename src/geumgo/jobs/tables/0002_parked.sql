-- Every job that ends looks for the parked one that it makes up for: among ten thousand waiting ones it must not have to look at each.
CREATE INDEX job_parked_per_dedup ON job (dedup) WHERE state = 'parked';
