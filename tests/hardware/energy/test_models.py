import pytest
from small_workloads import worked_example

from spikenas.exceptions import SpecError, UnknownNameError, UsageError
from spikenas.hardware import energy_model, energy_models


def test_models_that_give_joules_come_first_the_default_in_front():
    assert energy_models() == [*energy_models("joules"), *energy_models("score")]
    assert energy_models("joules") == [
        "cmos45",
        "loihi1",
        "memory_aware",
        "spinnaker2",
        "truenorth",
    ]
    assert energy_models("score") == ["akida1", "loihi2", "speck2"]


def test_an_unknown_model_names_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'cmos45'"):
        energy_model("cmos_45")
    with pytest.raises(SpecError, match=r"nowhere\.toml: no such file$"):
        energy_model("nowhere.toml")


def test_a_setting_of_another_model_is_refused_with_those_that_there_are():
    with pytest.raises(UsageError, match="no setting 'first_layer'; it has: execution, sram"):
        energy_model("memory_aware").estimate(worked_example(), first_layer="once")
    with pytest.raises(UsageError, match="it has: none"):
        energy_model("spinnaker2").estimate(worked_example(), reading="davies")
