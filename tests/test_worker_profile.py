import pytest

from spikenas import shipped
from spikenas.distributed import InlinePool, open_pool
from spikenas.exceptions import SpecError, UnknownNameError
from spikenas.worker_profile import WorkerProfile, load_profile


@pytest.mark.parametrize("name", shipped.names("workers"))
def test_a_shipped_profile_is_valid_and_survives_json(name):
    profile = load_profile(name)

    assert WorkerProfile.from_dict(profile.to_dict()) == profile


def test_the_four_profiles_ship():
    assert shipped.names("workers") == ["cluster", "inline", "local", "single_gpu_shared"]


def test_the_inline_profile_opens_a_pool_without_ray():
    with open_pool(load_profile("inline")) as pool:
        assert isinstance(pool, InlinePool)
        assert pool.num_workers == 1


def test_an_unknown_profile_names_the_nearest():
    with pytest.raises(UnknownNameError, match=r"no worker .*did you mean 'local'"):
        load_profile("locl")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("num_workers = 0", r"num_workers = 0; needed: a whole number from 1 .*no job would run"),
        ("num_workers = -2", "num_workers = -2; needed"),
        ("num_workers = 1.5", "num_workers = 1.5; needed"),
        ("num_workers = true", "num_workers = True; needed"),
        ('num_workers = "all"', "num_workers = 'all'; needed: .*or \"auto\""),
        ("num_worker = 2", "num_worker is not a setting of workers; did you mean 'num_workers'"),
        ('kind = "rai"', "kind = 'rai'; did you mean 'ray'.*allowed: inline, ray"),
        ("kind = 3", "kind = 3; allowed: inline, ray"),
        ("cpus_per_worker = 0", "cpus_per_worker = 0; needed: a number above 0"),
        ('cpus_per_worker = "1"', "cpus_per_worker = '1'; needed"),
        ("gpus_per_worker = -0.5", "gpus_per_worker = -0.5; needed: a number from 0"),
        ("gpus_per_worker = inf", "gpus_per_worker = inf; needed"),
        ("job_timeout_s = nan", "job_timeout_s = nan; needed"),
        ("threads_per_worker = 0", "threads_per_worker = 0; needed"),
        ('address = "somewhere"', "address = 'somewhere'; allowed: local, auto, host:port"),
        ('address = "http://head:8265"', "address = 'http://head:8265'; allowed"),
        ("address = 6379", "address = 6379; allowed"),
        ("num_workers 2", "line 1"),
        ('kind = "inline"\nnum_workers = 4', "num_workers = 4 is only read by kind = 'ray'"),
    ],
)
def test_a_wrong_profile_names_file_key_value_and_what_is_allowed(tmp_path, line, complaint):
    path = tmp_path / "mine.toml"
    path.write_text(line)

    with pytest.raises(SpecError, match=rf"(?s)mine\.toml: .*{complaint}"):
        load_profile(path)


@pytest.mark.parametrize(
    "address", ["local", "auto", "head:6379", "10.0.0.1:6379", "[::1]:6379", "ray://head:10001"]
)
def test_the_addresses_that_ray_knows_are_taken(address):
    assert WorkerProfile(address=address).address == address
