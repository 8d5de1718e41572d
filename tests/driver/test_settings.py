from dataclasses import replace

from .conftest import Search


def test_workers_import_the_plugins_of_a_space_however_the_user_consented(search: Search) -> None:
    run = search(trials=1)
    settings = run.settings
    with_plugin = replace(
        settings,
        space_toml='[space]\nplugins = ["json"]\n' + settings.space_toml.replace("[space]", ""),
    )

    job = with_plugin.job("1", run.candidates()[0].architecture)

    assert job.plugins == ("json",)
    assert settings.job("1", job.architecture).plugins == ()
